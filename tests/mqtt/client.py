"""paho-mqtt with a token: both versions, every quality, and a refusal with its reason. Run by tests/mqtt.sh."""

import os
import queue

import paho.mqtt.client as mqtt

PATIENCE = 10
PORT, SECRET, CA = int(os.environ["MQTT_PORT"]), os.environ["SECRET"], os.environ["CA"]


def connected(version, password):
    """A client, and the reason of its CONNACK."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=version)
    client.tls_set(CA)
    client.username_pw_set("token", password)
    answers = queue.Queue()
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.put(reason)
    client.connect("localhost", PORT)
    client.loop_start()
    return client, answers.get(timeout=PATIENCE)


for version in (mqtt.MQTTv311, mqtt.MQTTv5):
    client, reason = connected(version, SECRET)
    assert not reason.is_failure, reason
    heard, subscribed, published = queue.Queue(), queue.Queue(), queue.Queue()
    client.on_message = lambda _client, _data, message: heard.put((message.topic, message.payload))
    client.on_subscribe = lambda _client, _data, _id, reasons, _properties: subscribed.put(reasons)
    client.on_publish = lambda _client, _data, _id, reason, _properties: published.put(reason)
    for qos in (0, 1, 2):
        topic = f"lab/paho/{version}/{qos}"
        client.subscribe(topic, qos)
        assert [reason.value for reason in subscribed.get(timeout=PATIENCE)] == [qos]
        client.publish(topic, "hello", qos)
        assert heard.get(timeout=PATIENCE) == (topic, b"hello")
        assert not published.get(timeout=PATIENCE).is_failure
    client.subscribe("things/#")
    assert subscribed.get(timeout=PATIENCE)[0].is_failure
    if version == mqtt.MQTTv5:
        client.publish("elsewhere", "x", 1)
        assert published.get(timeout=PATIENCE).value == 135
    client.disconnect()
    client.loop_stop()

client, reason = connected(mqtt.MQTTv5, "wrong")
assert reason.value == 134, reason
client.loop_stop()
print("paho-mqtt: 3.1.1 and 5.0, QoS 0, 1 and 2")
