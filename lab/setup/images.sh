# The base images, made in the background.

suites="bookworm bullseye"
image_inputs='{{ index .Config.Labels "org.keystone-rollout.inputs" }}'
making=""  # SUITE:PID of each

base_images_exist() {
    local inputs suite names="" found
    inputs=$(sha256sum < machine/images/base/make.sh | cut -c 1-16)
    for suite in $suites; do names="$names keystone-rollout/base:$suite"; done
    found=$(docker image inspect -f "$image_inputs" $names 2> /dev/null | grep -cx "$inputs" || true)
    [ "$found" = "$(wc -w <<< "$suites")" ]
}

begin_base_images() {
    local suite
    if base_images_exist; then return; fi
    for suite in $suites; do
        machine/images/base/make.sh "$suite" > "$log/base-$suite.log" 2>&1 &
        making="$making $suite:$!"
    done
    say "base images (Debian $suites) ..."
}

await_base_images() {
    local suite each
    for each in $making; do
        suite=${each%%:*}
        follow "${each#*:}" "base image $suite" last_line "$log/base-$suite.log" || {
            tail -n 5 "$log/base-$suite.log" >&2
            fail "base image $suite could not be made, log $log/base-$suite.log"
        }
        say "base image $suite made"
    done
}
