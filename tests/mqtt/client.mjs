// npm's mqtt with a token: both versions, every quality, and a refusal with its reason. Run by tests/mqtt.sh.
import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const { MQTT_PORT, SECRET, CA, ID } = process.env;
const options = { ca: readFileSync(CA), username: "token", password: SECRET, reconnectPeriod: 0, connectTimeout: 5000 };
setTimeout(() => { console.error("nothing came in time"); process.exit(1); }, 20_000).unref();

function hold(claim, words) {
  if (!claim) throw new Error(words);
}

for (const protocolVersion of [4, 5]) {
  const client = await mqtt.connectAsync(`mqtts://localhost:${MQTT_PORT}`, { ...options, protocolVersion });
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
const wrong = mqtt.connectAsync(`mqtts://localhost:${MQTT_PORT}`, { ...options, password: "wrong", protocolVersion: 5 }, false);
const refused = await wrong.then(() => null, (error) => error);
hold(refused?.code === 134, `a wrong token was not refused: ${refused}`);
console.log("npm's mqtt: 3.1.1 and 5.0, QoS 0, 1 and 2");
process.exit(0);
