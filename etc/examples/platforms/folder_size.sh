#!/bin/sh
# How large a folder is: a platform is any program. `platoonctl job run folder_size folder=/usr/share/doc`
set -eu
if [ "${1-}" = --spec ]; then
    echo '{"display_name": "Size of a folder", "settings": {"folder": {"type": "str"}}, "timeout": "5m"}'
    exit
fi
read -r told
folder=$(expr "$told" : '.*"folder":"\([^"]*\)"')
[ -d "$folder" ] || {
    echo "there is no folder $folder"
    exit 78
}
echo '{"update": {"count": "started"}}'
echo "looking at $folder"
echo "{\"result\": $(du -sk "$folder" | cut -f 1)}"
