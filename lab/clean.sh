#!/usr/bin/env bash
# Remove every trace of the project from this machine and nothing else: containers, images,
# networks and volumes by label or name, never by a prune. Debian packages stay.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
label=label=org.keystone-rollout
project=label=com.docker.compose.project=keystone-rollout
airflow=label=com.docker.compose.project=keystone-rollout-airflow
phase=label=org.keystone-rollout.cloud=lab  # keystone-manage of a task that was killed

remove() {  # what, ids, command...
    local what=$1 ids=$2
    shift 2
    if [ -z "$ids" ]; then return; fi
    echo "removing $(wc -w <<< "$ids") $what"
    "$@" $ids > /dev/null || echo "warning: not all $what could be removed" >&2
}

ids() {
    for filter in "$label" "$project" "$airflow" "$phase"; do "$@" "--filter" "$filter"; done | sort -u
}

clean_engine() {
    remove containers "$(ids docker ps -aq)" docker rm -f -v
    remove networks "$(ids docker network ls -q)" docker network rm
    remove volumes "$({ ids docker volume ls -q;
        docker volume ls -q --filter name=^keystone-rollout-; } | sort -u)" docker volume rm
    # Tags first; a layer that another project shares stays with that project.
    remove images "$(docker image ls --filter "$label" --format '{{.Repository}}:{{.Tag}}' |
        grep -v '<none>' | sort -u)" docker rmi -f
    remove "unnamed images" "$(docker image ls -q --filter "$label" | sort -u)" docker rmi -f
    if [ -f .lab/pulled-images ]; then
        remove "pulled images" "$(sort -u .lab/pulled-images)" docker rmi
    fi
}

stop_engine() {
    local pid
    pid=$(cat .lab/started-dockerd 2> /dev/null) || return 0
    if [ "$(cat "/proc/$pid/comm" 2> /dev/null)" != dockerd ]; then return; fi
    if [ -n "$(docker ps -q)" ]; then
        echo "the Docker engine (pid $pid) that set-up started stays: others' containers run in it"
        return
    fi
    echo "stopping the Docker engine (pid $pid) that set-up started"
    kill "$pid"
    while [ -d "/proc/$pid" ]; do sleep 0.2; done
}

if command -v docker > /dev/null && docker version > /dev/null 2>&1; then
    clean_engine
    stop_engine
elif [ -d .lab ]; then
    echo "warning: no Docker engine answers, its objects of this project stay" >&2
fi
echo "removing .venv, .lab, .airflow and caches"
rm -rf .venv .lab build dist keystone_rollout.egg-info .mypy_cache .ruff_cache .pytest_cache
if [ -n "$(ls -A .airflow/files 2> /dev/null)" ]; then
    # A backup may be the only way back of a cloud that is not gone.
    echo "$PWD/.airflow/files stays: it holds files that this project did not make"
    find .airflow -mindepth 1 -maxdepth 1 ! -name files -exec rm -rf {} +
else
    rm -rf .airflow
fi
find . -name __pycache__ -type d -prune -exec rm -rf {} +
