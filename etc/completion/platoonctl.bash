# shellcheck shell=bash
# platoonctl.bash: completes verbs, options, and the names of what runs now. Source it, or install it as
# /usr/share/bash-completion/completions/platoonctl. Made by `make docs` from the lists and from proto/*/*.man: do not edit.

_platoonctl_options='-s --socket -c --config --json --timeout --no-color -h --help -V --version'

# Names of what runs: worker, pool, or TYPE:N, the Nth part of the names of workers of that type. Behind it the options of the command
# line that lead to a socket, so that names come from the same platoon.
_platoonctl_names() {
    local kind=$1
    shift
    platoonctl "$@" --timeout 1s tree --json 2>/dev/null | python3 -c '
import json, sys
kind, _, part = sys.argv[1].partition(":")
def walk(node):
    if part:
        if node["type"] == kind:
            print(node["name"].split("/")[int(part)])
    elif kind == "pool":
        if node["name"].endswith(".1"):
            print(node["name"][:-2])
    else:
        print(node["name"])
    for child in node["children"]:
        walk(child)
walk(json.load(sys.stdin))' "$kind" 2>/dev/null
}

# What may follow the words so far: words; @ and what _platoonctl_names takes; @file.
_platoonctl_places() {
    case $1 in
    'cache set '*' '*' '* | 'queue weight '*' '*' '* | 'job schedule '*' '*' '* | 'snapshot diff '*' '*' '*) ;;
    'drain dead '*' retry' | 'drain dead '*' drop' | 'cache dead '*' show' | 'cache dead '*' retry' | 'cache dead '*' drop' | 'queue dead '*' retry' | 'queue dead '*' drop') echo 'all' ;;
    'drain dead '*' '* | 'cache get '*' '* | 'cache set '*' '* | 'cache dead '*' '* | 'cache owner '*' '* | 'cache forget '*' '* | 'queue dead '*' '* | 'queue register '*' '* | 'queue weight '*' '* | 'queue pause '*' '* | 'queue resume '*' '* | 'queue cap '*' '* | 'job schedule '*' '* | 'snapshot diff '*' '* | 'snapshot put '*' '* | 'scale '*' '* | 'level '*' '* | 'signal '*' '* | 'send '*' '* | 'wait '*' '* | 'drain status '* | 'drain wait '* | 'cache status '* | 'cache get '* | 'cache set '* | 'cache del '* | 'cache dump '* | 'cache wait '* | 'cache ring '* | 'cache owner '* | 'cache forget '* | 'queue status '* | 'queue deliver '* | 'queue facets '* | 'queue top '* | 'queue peek '* | 'queue register '* | 'queue unregister '* | 'queue destroy '* | 'queue ack '* | 'queue again '* | 'queue bury '* | 'queue renew '* | 'queue weight '* | 'queue pause '* | 'queue resume '* | 'queue cap '* | 'queue listen '* | 'queue wait '* | 'job run '* | 'job show '* | 'job wait '* | 'job tail '* | 'snapshot list '* | 'snapshot log '* | 'snapshot get '* | 'snapshot diff '* | 'snapshot show '* | 'snapshot run '* | 'snapshot whatif '* | 'snapshot wait '* | 'snapshot pack '*) ;;
    'snapshot put '*) echo '@file' ;;
    'job schedule '*) echo '@worker' ;;
    'drain dead '* | 'cache dead '* | 'queue dead '*) echo 'list show retry drop' ;;
    'top '* | 'status '* | 'logs '* | 'watch '* | 'trace '* | 'crashes '* | 'check '* | 'start '* | 'stop '* | 'restart '* | 'scale '* | 'send '* | 'redis '* | 'report '* | 'queue status' | 'queue deliver' | 'queue dead' | 'queue facets' | 'queue top' | 'queue peek' | 'queue register' | 'queue unregister' | 'queue destroy' | 'queue pull' | 'queue ack' | 'queue again' | 'queue bury' | 'queue renew' | 'queue weight' | 'queue pause' | 'queue resume' | 'queue cap' | 'queue listen' | 'queue wait' | 'job run' | 'job show' | 'job wait' | 'job tail' | 'job cancel' | 'job retry' | 'snapshot list' | 'snapshot log' | 'snapshot get' | 'snapshot diff' | 'snapshot show' | 'snapshot run' | 'snapshot whatif' | 'snapshot wait' | 'snapshot watch' | 'snapshot put' | 'snapshot pack') ;;
    'cache ring' | 'cache owner' | 'cache forget') echo '@cache-manager:1' ;;
    'cache status' | 'cache get' | 'cache set' | 'cache del' | 'cache dump' | 'cache wait' | 'cache dead') echo '@cache-node:1' ;;
    'drain status' | 'drain dead' | 'drain wait') echo '@watcher:1' ;;
    'signal '*) echo 'HUP INT QUIT TERM USR1 USR2 KILL STOP CONT' ;;
    'level '*) echo 'error warn info debug' ;;
    'job schedule') echo 'list add remove pause resume now @worker' ;;
    'wait '*) echo 'ready stopped' ;;
    redis) ;;
    check) echo '@file' ;;
    scale) echo '@pool' ;;
    report) echo '@watcher:1' ;;
    top | status | logs | watch | trace | crashes | start | stop | restart | level | signal | send) echo '@worker' ;;
    wait) echo '@worker ready stopped' ;;
    '') echo 'tree top status logs watch graph trace crashes check version start stop restart reload scale level signal send wait upgrade shutdown redis drain report cache queue job snapshot' ;;
    drain) echo 'status dead wait' ;;
    cache) echo 'status get set del dump wait dead ring owner forget' ;;
    queue) echo 'status deliver dead facets top peek register unregister destroy pull ack again bury renew weight pause resume cap listen wait' ;;
    job) echo 'platforms run list show wait tail cancel retry stats schedule' ;;
    snapshot) echo 'list log get diff show run whatif wait watch put pack' ;;
    esac
}

# What may stand for a word that starts with a dash.
_platoonctl_dashes() {
    case $1 in
    top | 'top '*) echo "$_platoonctl_options -n --every" ;;
    logs | 'logs '*) echo "$_platoonctl_options -n -f" ;;
    trace | 'trace '*) echo "$_platoonctl_options --payload --sample -n" ;;
    restart | 'restart '*) echo "$_platoonctl_options --rolling" ;;
    reload | 'reload '*) echo "$_platoonctl_options --dry-run" ;;
    scale | 'scale '*) echo "$_platoonctl_options --dry-run" ;;
    redis | 'redis '*) echo "--on --reply-to" ;;
    report | 'report '*) echo "$_platoonctl_options --by --since --every --top --time --csv" ;;
    'cache get' | 'cache get '*) echo "$_platoonctl_options --eventual --bounded" ;;
    'cache set' | 'cache set '*) echo "$_platoonctl_options --expire" ;;
    'cache dump' | 'cache dump '*) echo "$_platoonctl_options --all --wait" ;;
    'queue status' | 'queue status '*) echo "$_platoonctl_options --on" ;;
    'queue deliver' | 'queue deliver '*) echo "$_platoonctl_options --topic --facet --after --on" ;;
    'queue dead' | 'queue dead '*) echo "$_platoonctl_options -n --on" ;;
    'queue facets' | 'queue facets '*) echo "$_platoonctl_options -n --by --on" ;;
    'queue top' | 'queue top '*) echo "$_platoonctl_options -n --every --by --on" ;;
    'queue peek' | 'queue peek '*) echo "$_platoonctl_options --facet -n --on" ;;
    'queue register' | 'queue register '*) echo "$_platoonctl_options --raw --on" ;;
    'queue unregister' | 'queue unregister '*) echo "$_platoonctl_options --on" ;;
    'queue destroy' | 'queue destroy '*) echo "$_platoonctl_options --on" ;;
    'queue pull' | 'queue pull '*) echo "$_platoonctl_options -n --lease --once --on" ;;
    'queue ack' | 'queue ack '*) echo "$_platoonctl_options --on" ;;
    'queue again' | 'queue again '*) echo "$_platoonctl_options --after --reason --on" ;;
    'queue bury' | 'queue bury '*) echo "$_platoonctl_options --reason --on" ;;
    'queue renew' | 'queue renew '*) echo "$_platoonctl_options --lease --on" ;;
    'queue weight' | 'queue weight '*) echo "$_platoonctl_options --on" ;;
    'queue pause' | 'queue pause '*) echo "$_platoonctl_options --on" ;;
    'queue resume' | 'queue resume '*) echo "$_platoonctl_options --on" ;;
    'queue cap' | 'queue cap '*) echo "$_platoonctl_options --on" ;;
    'queue listen' | 'queue listen '*) echo "$_platoonctl_options -n --on" ;;
    'queue wait' | 'queue wait '*) echo "$_platoonctl_options --on" ;;
    'job platforms' | 'job platforms '*) echo "$_platoonctl_options --on" ;;
    'job run' | 'job run '*) echo "$_platoonctl_options --settings --id --key --wait --on" ;;
    'job list' | 'job list '*) echo "$_platoonctl_options --status --platform --queue --since -n --after --on" ;;
    'job show' | 'job show '*) echo "$_platoonctl_options --on" ;;
    'job wait' | 'job wait '*) echo "$_platoonctl_options --on" ;;
    'job tail' | 'job tail '*) echo "$_platoonctl_options -f --on" ;;
    'job cancel' | 'job cancel '*) echo "$_platoonctl_options --all --status --platform --on" ;;
    'job retry' | 'job retry '*) echo "$_platoonctl_options --all --status --platform --on" ;;
    'job stats' | 'job stats '*) echo "$_platoonctl_options --since --on" ;;
    'job schedule' | 'job schedule '*) echo "$_platoonctl_options --cron --every --settings --missed --overlap --on" ;;
    'snapshot log' | 'snapshot log '*) echo "$_platoonctl_options --limit --before" ;;
    'snapshot whatif' | 'snapshot whatif '*) echo "$_platoonctl_options --at --with" ;;
    'snapshot put' | 'snapshot put '*) echo "$_platoonctl_options --if" ;;
    *) echo "$_platoonctl_options" ;;
    esac
}

# What may be an option's value; fails for what is no option with a value.
_platoonctl_values() {
    case $1 in
    --timeout | -n | --every | --sample | --on | --by | --since | --top | --time | --bounded | --expire | --topic | --facet | --after | --lease | --reason | --settings | --id | --key | --status | --platform | --queue | --cron | --missed | --overlap | --limit | --before | --at | --with | --if) ;;
    -s | --socket | -c | --config) echo '@file' ;;
    --reply-to) echo '@worker' ;;
    *) return 1 ;;
    esac
}

_platoonctl() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} choices='' offered choice i
    local -a words=() where=()
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -s | --socket | -c | --config)
            where+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]:-}")
            ((i++))
            ;;
        --timeout | -n | --every | --sample | --on | --reply-to | --by | --since | --top | --time | --bounded | --expire | --topic | --facet | --after | --lease | --reason | --settings | --id | --key | --status | --platform | --queue | --cron | --missed | --overlap | --limit | --before | --at | --with | --if) ((i++)) ;;
        -*) ;;
        *) words+=("${COMP_WORDS[i]}") ;;
        esac
    done
    if ! offered=$(_platoonctl_values "$previous"); then
        if [[ $word == -* ]]; then
            offered=$(_platoonctl_dashes "${words[*]}")
        else
            offered=$(_platoonctl_places "${words[*]}")
        fi
    fi
    for choice in $offered; do
        case $choice in
        @file)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
            ;;
        @*) choices+=" $(_platoonctl_names "${choice#@}" "${where[@]}")" ;;
        *) choices+=" $choice" ;;
        esac
    done
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
}

complete -F _platoonctl platoonctl
