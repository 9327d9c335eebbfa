#!/bin/bash
# Put the lab's keys and configuration into place, start Keystone, stay as sshd.
#
# /lab is mounted read-only: host_key, authorized_key, sudoers, etc/ (keystone.conf and key
# repositories).
# Copies, not mounts: the rollout replaces the configuration as it would on a real node.
set -euo pipefail

install -m 0600 /lab/host_key /etc/ssh/ssh_host_ed25519_key
install -d -o rollout -g rollout -m 0700 /home/rollout/.ssh
install -o rollout -g rollout -m 0600 /lab/authorized_key /home/rollout/.ssh/authorized_keys

visudo -cqf /lab/sudoers
install -o root -g root -m 0440 /lab/sudoers /etc/sudoers.d/keystone-rollout

install -d -o root -g keystone -m 0750 /etc/keystone
install -o root -g keystone -m 0640 /lab/etc/keystone.conf /etc/keystone/keystone.conf
for repository in fernet-keys credential-keys; do
    install -d -o keystone -g keystone -m 0700 "/etc/keystone/$repository"
    install -o keystone -g keystone -m 0600 /lab/etc/"$repository"/* "/etc/keystone/$repository/"
done

rm -f /run/keystone/*
# A node whose Keystone does not start stays reachable, as a real one would.
service keystone start || true
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e
