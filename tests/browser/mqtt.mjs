// A client of MQTT 3.1.1 over TLS that signs in with a token, or with a device's user name and password: as little as
// the pages need to have something to show.

import { connect as connectTls } from "node:tls";

const text = (value) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};
const packet = (first, ...parts) => {
  const body = Buffer.concat(parts);
  const length = [];
  let left = body.length;
  do {
    length.push((left & 127) | (left > 127 ? 128 : 0));
    left >>= 7;
  } while (left);
  return Buffer.concat([Buffer.from([first, ...length]), body]);
};

export class Client {
  // `will`: {topic, payload}; `answers`: whether messages of QoS 1 are acknowledged.
  static async connect({ port, ca, token, id, will, username = "test", answers = true }) {
    const client = new Client();
    client.answers = answers;
    client.waiting = Buffer.alloc(0);
    client.next = 1;
    client.wanted = [];
    client.socket = connectTls({ host: "localhost", port, ca, servername: "localhost" });
    client.socket.on("data", (bytes) => client.take(bytes));
    client.closed = new Promise((resolve) => client.socket.on("close", resolve));
    client.socket.on("error", () => {});
    const flags = 0b11000010 | (will ? 0b00000100 : 0);
    const parts = [text("MQTT"), Buffer.from([4, flags, 0, 60]), text(id)];
    if (will) parts.push(text(will.topic), text(will.payload));
    client.socket.write(packet(0x10, ...parts, text(username), text(token)));
    const answer = await client.answer(0x20);
    if (answer[3] !== 0) throw new Error(`${id} was refused: ${answer[3]}`);
    return client;
  }

  take(bytes) {
    this.waiting = Buffer.concat([this.waiting, bytes]);
    for (;;) {
      let [length, at, shift] = [0, 1, 0];
      for (;;) {
        if (at >= this.waiting.length) return;
        const byte = this.waiting[at];
        length |= (byte & 127) << shift;
        shift += 7;
        at += 1;
        if (!(byte & 128)) break;
      }
      if (this.waiting.length < at + length) return;
      const one = this.waiting.subarray(0, at + length);
      this.waiting = this.waiting.subarray(at + length);
      if (one[0] >> 4 === 3 && one[0] & 6 && this.answers) {
        const topic = one.readUInt16BE(at);
        this.socket.write(packet(0x40, one.subarray(at + 2 + topic, at + 4 + topic)));
      }
      const found = this.wanted.findIndex(({ first }) => first === one[0]);
      if (found >= 0) this.wanted.splice(found, 1)[0].resolve(one);
    }
  }

  answer(first) {
    return new Promise((resolve) => this.wanted.push({ first, resolve }));
  }

  id() {
    this.next = (this.next % 65535) + 1;
    return Buffer.from([this.next >> 8, this.next & 255]);
  }

  subscribe(filter, qos = 1) {
    this.socket.write(packet(0x82, this.id(), text(filter), Buffer.from([qos])));
    return this.answer(0x90);
  }

  // At QoS 1; resolves when the hub has it.
  publish(topic, payload, { retain = false } = {}) {
    this.socket.write(packet(0x32 | (retain ? 1 : 0), text(topic), this.id(), Buffer.from(payload)));
    return this.answer(0x40);
  }

  end() {
    this.socket.end(packet(0xe0));
    return this.closed;
  }
}
