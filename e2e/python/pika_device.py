"""A device over AMQPS, written with pika from the wire contract alone.

It declares what it needs itself, logs in by its certificate (EXTERNAL) and acknowledges nothing.
It prints a line for each thing that happens: connected, request <method>, uart <text>.
"""

import argparse
import json
import ssl
import time

import pika


def say(*words):
    print(*words, flush=True)


PINS = {}
STATE = {"offset": 0, "mac": "02:00:00:00:00:02"}


def answer(method, request):
    if method == "get_status":
        return {"status": "running"}
    if method == "set_status":
        return {"status": "restarting"}
    if method == "get_gpio":
        return {"number": request["number"], "value": PINS.get(request["number"], 0)}
    if method == "set_gpio":
        PINS[request["number"]] = request["value"]
        return {"number": request["number"], "value": request["value"]}
    if method == "get_rtc":
        return {"value": int(time.time()) + STATE["offset"]}
    if method == "set_rtc":
        STATE["offset"] = request["value"] - int(time.time())
        return {"value": request["value"]}
    if method == "get_mac":
        return {"value": STATE["mac"]}
    if method == "set_mac":
        STATE["mac"] = request["value"]
        return {"value": request["value"]}
    if method == "get_ip":
        return {"value": "192.0.2.8"}
    if method == "get_subnet":
        return {"value": "255.255.255.0"}
    if method == "get_gateway":
        return {"value": "192.0.2.1"}
    if method == "write_uart":
        say("uart", request["data"])
        return {"data": request["data"]}
    return None


def run(options):
    """One connection, until the device is told to restart."""
    context = ssl.create_default_context(cafile=options.ca)
    context.load_cert_chain(options.cert, options.key)
    connection = pika.BlockingConnection(
        pika.ConnectionParameters(
            host=options.host,
            port=options.port,
            credentials=pika.credentials.ExternalCredentials(),
            ssl_options=pika.SSLOptions(context, options.host),
        )
    )
    channel = connection.channel()
    queue = "mqtt-subscription-" + options.id + "qos1"
    channel.exchange_declare(exchange="amq.topic", exchange_type="topic", durable=True)
    channel.queue_declare(queue=queue, durable=False, auto_delete=True)
    channel.queue_bind(queue=queue, exchange="amq.topic", routing_key=options.id + ".#")

    def on_message(channel, delivery, _properties, body):
        method = delivery.routing_key[len(options.id) + 1:]
        request = json.loads(body)
        say("request", method, json.dumps(request, sort_keys=True))
        reply = answer(method, request)
        if reply is None:
            return
        channel.basic_publish(
            exchange="amq.topic",
            routing_key="server.%s.%s" % (options.id, method),
            body=json.dumps(reply),
        )
        if method == "set_status":
            PINS.clear()
            channel.stop_consuming()

    channel.basic_consume(queue=queue, on_message_callback=on_message)
    say("connected")
    channel.start_consuming()
    connection.close()


def main():
    parser = argparse.ArgumentParser()
    for name in ("host", "id", "ca", "cert", "key"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    while True:
        run(options)


main()
