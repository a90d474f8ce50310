#!/bin/sh
# What a person would write by hand for the suite `smoke`: plain ssh, one command after the other.
# usage: smoke.sh TARGET CLIENT LOAD_ADDRESS FOLDER   (TARGET and CLIENT as ssh takes them, options and all)
set -eu
target=$1 client=$2 address=$3 folder=$4

for contender in flask:8001 fastapi:8002; do
    name=${contender%:*} port=${contender#*:} url=http://$address:${contender#*:}/
    ssh $target sudo docker run --detach --name "smoke-$name" --publish "$address:$port:$port" \
        --cap-drop=ALL --security-opt=no-new-privileges --read-only --tmpfs=/tmp \
        --cpus=1 --memory=512m "fwbench/$name:current" > /dev/null
    ssh $client "until h2load --h1 -n1 -c1 $url | grep -q '1 2xx'; do sleep 0.1; done"
    ssh $client python3 -c "'import urllib.request; print(urllib.request.urlopen(\"$url\").read())'" > "$folder/$name.before"
    ssh $target sudo docker inspect "smoke-$name" > "$folder/$name.inspect-before"
    ssh $client "h2load --h1 -c10 -D2 --warm-up-time=1 --log-file=/tmp/$name.log $url; gzip -1f /tmp/$name.log" \
        > "$folder/$name.out" 2> "$folder/$name.err"
    ssh $client python3 -c "'import urllib.request; print(urllib.request.urlopen(\"$url\").read())'" > "$folder/$name.after"
    ssh $target sudo docker inspect "smoke-$name" > "$folder/$name.inspect-after"
    ssh $target sudo docker logs "smoke-$name" > "$folder/$name.log" 2>&1
    ssh $client "cat /tmp/$name.log.gz; rm /tmp/$name.log.gz" > "$folder/$name.log.gz"
    ssh $target sudo docker rm --force --volumes "smoke-$name" > /dev/null
done
