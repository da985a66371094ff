# shellcheck shell=bash
# platoonctl.bash: completes verbs, options, and the names of what runs now. Source it, or install it as
# /usr/share/bash-completion/completions/platoonctl. scripts/lib/check-docs-verbs holds it against proto/control.h.

_platoonctl_verbs='tree top status drain report logs watch graph trace crashes check version start stop restart reload scale level upgrade signal send redis wait shutdown'
_platoonctl_options='-s --socket -c --config --json --timeout --no-color -h --help -V --version'

# Options of the command line that lead to a socket, so that names come from the same platoon.
_platoonctl_names() {
    local kind=$1
    shift
    platoonctl "$@" --timeout 1s tree --json 2>/dev/null | python3 -c '
import json, sys
def walk(node):
    if sys.argv[1] == "drain":
        if node["type"] == "watcher":
            print(node["name"].split("/")[1])
    elif sys.argv[1] == "pool":
        if node["name"].endswith(".1"):
            print(node["name"][:-2])
    else:
        print(node["name"])
    for child in node["children"]:
        walk(child)
walk(json.load(sys.stdin))' "$kind" 2>/dev/null
}

_platoonctl() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} choices='' i
    local -a words=() where=()
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -s | --socket | -c | --config)
            where+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]:-}")
            ((i++))
            ;;
        --timeout | --by | --since | --every | --top | --time | --on | --reply-to | --sample) ((i++)) ;;
        -*) ;;
        *) words+=("${COMP_WORDS[i]}") ;;
        esac
    done
    case $previous in
    -s | --socket | -c | --config)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --timeout | --since | --every | --by | --top | --time | --on) return ;;
    --reply-to)
        mapfile -t COMPREPLY < <(compgen -W "$(_platoonctl_names worker "${where[@]}")" -- "$word")
        return
        ;;
    esac
    case "${words[*]}" in
    '') choices="$_platoonctl_verbs" ;;
    drain) choices='status wait dead' ;;
    wait) choices="ready stopped $(_platoonctl_names worker "${where[@]}")" ;;
    'wait '*) choices='ready stopped' ;;
    check)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    scale) choices=$(_platoonctl_names pool "${where[@]}") ;;
    'level '*) choices='error warn info debug' ;;
    'signal '*) choices='HUP INT QUIT TERM USR1 USR2 KILL STOP CONT' ;;
    status | top | start | stop | restart | level | signal | send | logs | watch | trace | crashes) choices=$(_platoonctl_names worker "${where[@]}") ;;
    'drain status' | 'drain wait' | 'drain dead' | report) choices=$(_platoonctl_names drain "${where[@]}") ;;
    'drain dead '*' retry' | 'drain dead '*' drop') choices='all' ;;
    'drain dead '*' '*) ;;
    'drain dead '*) choices='list show retry drop' ;;
    esac
    if [[ $word == -* ]]; then
        case ${words[0]:-} in
        report) choices="$_platoonctl_options --by --since --every --top --time --csv" ;;
        redis) choices='--on --reply-to' ;;
        restart) choices="$_platoonctl_options --rolling" ;;
        reload | scale) choices="$_platoonctl_options --dry-run" ;;
        top) choices="$_platoonctl_options -n --every" ;;
        trace) choices="$_platoonctl_options --payload --sample -n" ;;
        logs) choices="$_platoonctl_options -n -f" ;;
        *) choices="$_platoonctl_options" ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
}

complete -F _platoonctl platoonctl
