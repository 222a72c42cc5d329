"""A client of the flat calls as the existing ones are: http.client, one connection object, JSON also on GET.

It reads one JSON object a line: {"method", "path", "body"} makes a call, {"pause": seconds} pauses on the
connection. For each it prints one line: {"status", "body", "port"}; the body is read by its Content-Length, and
only where the status is 200. Any other answer is left unread, and the same connection object is used for the next
call, which http.client allows only if the server said that it closes the connection. Nothing is tried again.
"""

import argparse
import http.client
import json
import ssl
import sys
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    options = parser.parse_args()
    context = ssl.create_default_context(cafile=options.ca)
    connection = http.client.HTTPSConnection(options.host, options.port, context=context, timeout=30)
    for line in sys.stdin:
        command = json.loads(line)
        if "pause" in command:
            time.sleep(command["pause"])
            print(json.dumps({"status": 0}), flush=True)
            continue
        try:
            connection.request(
                command["method"],
                command["path"],
                json.dumps(command["body"]),
                {"Content-type": "application/json"},
            )
            port = connection.sock.getsockname()[1]
            response = connection.getresponse()
            result = {"status": response.status, "port": port, "body": None}
            if response.status == 200:
                length = int(response.getheader("Content-Length"))
                result["body"] = json.loads(response.read(length))
        except (OSError, http.client.HTTPException, TypeError, ValueError) as error:
            result = {"status": -1, "problem": repr(error)}
        print(json.dumps(result), flush=True)


main()
