"""A device over MQTTS, written with paho-mqtt 1.6 from the wire contract alone.

It prints a line for each thing that happens: connected, request <method>, refused <code>, uart <text>.
"""

import argparse
import json
import ssl
import sys
import time

import paho.mqtt.client as mqtt


def say(*words):
    print(*words, flush=True)


class Device:
    """What an FT900 of the first generation knows and answers."""

    def __init__(self):
        self.pins = {}
        self.clock_offset = 0
        self.mac = "02:00:00:00:00:01"

    def answer(self, method, request):
        if method == "get_status":
            return {"status": "running"}
        if method == "set_status":
            return {"status": "restarting"}
        if method == "get_gpio":
            return {"number": request["number"], "value": self.pins.get(request["number"], 0)}
        if method == "set_gpio":
            self.pins[request["number"]] = request["value"]
            return {"number": request["number"], "value": request["value"]}
        if method == "get_rtc":
            return {"value": int(time.time()) + self.clock_offset}
        if method == "set_rtc":
            self.clock_offset = request["value"] - int(time.time())
            return {"value": request["value"]}
        if method == "get_mac":
            return {"value": self.mac}
        if method == "set_mac":
            self.mac = request["value"]
            return {"value": self.mac}
        if method in ("get_ip", "get_subnet", "get_gateway"):
            return {"value": {"get_ip": "192.0.2.7", "get_subnet": "255.255.255.0", "get_gateway": "192.0.2.1"}[method]}
        if method == "write_uart":
            say("uart", request["data"])
            # The whole request object, as one of the old devices does.
            return request
        return None


def main():
    parser = argparse.ArgumentParser()
    for name in ("host", "id", "ca", "cert", "key"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--protocol", choices=["3.1", "3.1.1"], required=True)
    parser.add_argument("--password-file")
    options = parser.parse_args()

    device = Device()
    client = mqtt.Client(
        client_id=options.id,
        clean_session=True,
        protocol=mqtt.MQTTv31 if options.protocol == "3.1" else mqtt.MQTTv311,
    )
    client.tls_set(
        ca_certs=options.ca,
        certfile=options.cert,
        keyfile=options.key,
        cert_reqs=ssl.CERT_REQUIRED,
        tls_version=ssl.PROTOCOL_TLSv1_2,
    )
    if options.password_file:
        with open(options.password_file, encoding="utf-8") as file:
            client.username_pw_set(options.id, file.read())

    def on_connect(client, _userdata, _flags, code):
        if code != 0:
            say("refused", code)
            sys.exit(4)
        client.subscribe(options.id + "/#", qos=1)

    def on_subscribe(_client, _userdata, _mid, granted):
        say("connected", granted[0])

    def on_message(client, _userdata, message):
        method = message.topic[len(options.id) + 1:]
        request = json.loads(message.payload)
        say("request", method, json.dumps(request, sort_keys=True))
        reply = device.answer(method, request)
        if reply is None:
            return
        client.publish("server/%s/%s" % (options.id, method), json.dumps(reply), qos=0)
        if method == "set_status":
            device.pins = {}
            client.disconnect()

    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    while True:
        client.connect(options.host, options.port, keepalive=60)
        # Returns after disconnect(), which is the restart.
        client.loop_forever()


main()
