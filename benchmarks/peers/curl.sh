# curl | jq, as one would type it: `curl.sh BASE webex SINCE UNTIL csv|jsonl`, `curl.sh BASE portsip COUNT csv`.
base=$1 provider=$2 form=${!#}
headers=$(mktemp)
trap 'rm -f "$headers"' EXIT

pages() {
    if [ "$provider" = portsip ]; then
        curl -sS "$base/cdrs?top=100&count=true&skip=[0-$(($1 - 1)):100]"  # one curl, one connection
        return
    fi
    url="$base/cdr_feed?startTime=$1&endTime=$2&max=5000"
    while [ -n "$url" ]; do
        curl -sS -D "$headers" "$url"
        url=$(sed -n 's/^[Ll]ink: <\(.*\)>; rel="next".*/\1/p' "$headers")
    done
}

if [ "$form" = jsonl ]; then
    pages "$3" "$4" | jq -c '.items[]'
else
    # A value that is no scalar is written as JSON, since @csv refuses it.
    pages "$3" "$4" | jq -rn 'input as $first | ($first.items[0] | keys_unsorted) as $keys | ($keys | @csv),
        (($first, inputs).items[] | [.[$keys[]]] | map(if type == "object" or type == "array" then tojson else . end) | @csv)'
fi
