// npm's mqtt with a token: both versions, every quality, and a refusal with its reason. Run by tests/mqtt.sh.
import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const { MQTT_PORT, HTTPS, LOCAL, SECRET, CA, ID } = process.env;
// TLS, WebSocket as from a page of the hub, and WebSocket on this machine.
const doors = [`mqtts://localhost:${MQTT_PORT}`, `${HTTPS.replace("https", "wss")}/mqtt`, `${LOCAL.replace("http", "ws")}/mqtt`];
const options = { ca: readFileSync(CA), username: "token", password: SECRET, reconnectPeriod: 0, connectTimeout: 5000 };
setTimeout(() => { console.error("nothing came in time"); process.exit(1); }, 20_000).unref();

function hold(claim, words) {
  if (!claim) throw new Error(words);
}

for (const door of doors) for (const protocolVersion of [4, 5]) {
  const client = await mqtt.connectAsync(door, { ...options, protocolVersion });
  for (const qos of [0, 1, 2]) {
    const topic = `lab/npm/${protocolVersion}/${qos}`;
    const [granted] = await client.subscribeAsync(topic, { qos });
    hold(granted.qos === qos, `granted ${granted.qos} of ${qos}`);
    const heard = new Promise((resolve) => client.once("message", (name, payload) => resolve(`${name} ${payload}`)));
    await client.publishAsync(topic, "hello", { qos });
    hold((await heard) === `${topic} hello`, "another message came");
  }
  if (protocolVersion === 5) {
    const refused = await client.publishAsync("elsewhere", "x", { qos: 1 }).then(() => null, (error) => error);
    hold(refused?.code === 135, `elsewhere was not refused: ${refused}`);
    await client.publishAsync(`things/${ID}/actions/identify`, "{}", { qos: 1 });
  }
  await client.endAsync();
}
for (const door of doors) {
  const wrong = mqtt.connectAsync(door, { ...options, password: "wrong", protocolVersion: 5 }, false);
  const refused = await wrong.then(() => null, (error) => error);
  hold(refused?.code === 134, `a wrong token was not refused at ${door}: ${refused}`);
}
// More than a frame holds, both ways.
const client = await mqtt.connectAsync(doors[1], { ...options, protocolVersion: 5 });
const large = Buffer.alloc(200_000, "x");
await client.subscribeAsync("lab/large", { qos: 1 });
const heard = new Promise((resolve) => client.once("message", (_, payload) => resolve(payload)));
await client.publishAsync("lab/large", large, { qos: 1 });
hold(large.equals(await heard), "a large message changed on its way");
// A frame past the limit ends the connection.
const closed = new Promise((resolve) => client.once("close", resolve));
client.publish("lab/large", Buffer.alloc(330_000), { qos: 0 });
await closed;
// Packets may cross frames; frames of text end the connection.
const socket = new WebSocket(doors[2], "mqtt");
socket.binaryType = "arraybuffer";
await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
const word = (text) => Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), Buffer.from(text)]);
const rest = Buffer.concat([word("MQTT"), Buffer.from([5, 0xc2, 0, 60, 0]), word("crumbs"), word("token"), word(SECRET)]);
const connect = Buffer.concat([Buffer.from([0x10, rest.length]), rest]);
const answer = new Promise((resolve) => { socket.onmessage = (event) => resolve(new Uint8Array(event.data)); });
for (const part of [connect.subarray(0, 7), connect.subarray(7, 8), connect.subarray(8)]) socket.send(part);
const connack = await answer;
hold(connack[0] === 0x20 && connack[3] === 0, `refused in crumbs: ${connack}`);
const ended = new Promise((resolve) => { socket.onclose = resolve; });
socket.send("text");
await ended;
// A page from elsewhere may come, but without the subprotocol nobody does.
const plain = await fetch(`${LOCAL}/mqtt`);
hold(plain.status >= 400, `no WebSocket: ${plain.status}`);
console.log("npm's mqtt: 3.1.1 and 5.0, QoS 0, 1 and 2, over TLS and WebSocket");
process.exit(0);
