#!/bin/sh
# An actor in plain shell: a clock that tells the time to whoever asks, and ticks to its log once a second.
#
#     program clock { command = "/bin/sh actor.sh"  port = json }
#
#     $ platoonctl send clock.1 '"what time is it?"'
while IFS= read -r event; do
    case $event in
    *'"event":"hello"'*) echo '{"do":"timer","id":"tick","after_ms":1000}' ;;
    *'"event":"timer"'*)
        echo "tick" >&2
        echo '{"do":"timer","id":"tick","after_ms":1000}'
        ;;
    *'"event":"request"'*)
        id=${event#*\"id\":}
        id=${id%%,*}
        echo "{\"do\":\"reply\",\"id\":$id,\"body\":\"$(date -u +%H:%M:%S)\"}"
        ;;
    *'"event":"stop"'*) exit 0 ;;
    esac
done
