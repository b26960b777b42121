#!/bin/sh
# A guided tour through the six stories: each is told, run and shown.  Enter goes on; without a terminal it goes on by itself.
set -eu
cd "$(dirname "$0")/.."
go_on() {
    if [ -t 0 ]; then
        printf '\n-- Enter: go on   Ctrl-C: end -- '
        read -r _ || exit 0
    fi
}
n=0
for story in voicemail e911 ekg inventory truck presence; do
    n=$((n + 1))
    printf '\n==== %s of 6: %s %s\n\n' "$n" "$story" "$(printf '%60s' '' | tr ' ' =)"
    # The page's first paragraphs, up to its first heading.
    sed -n '3,/^## /p' "doc/stories/$story.md" | grep -v '^## ' || :
    go_on
    "examples/$story/run.sh" "$@"
    printf '\nMore about it: doc/stories/%s.md\n' "$story"
    go_on
done
printf '\nThat was all.  `make run` starts a broker for your own.\n'
