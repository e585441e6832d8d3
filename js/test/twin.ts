import type { Batch, Command, ToBrowser, ToPython } from "../src/protocol.gen.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** Python's side of the exchange, as small as it can be: what `link/session.py` does for a page that it has elected. */
export class PythonTwin {
  readonly got: ToPython[] = [];
  private readonly links: string[] = [];
  private sent = 0;
  private received = 0;
  private unacked: { batch: Batch; buffers: Bytes[] }[] = [];
  private readonly early = new Map<number, ToPython>();

  constructor(
    private readonly transmit: (link: string, message: ToBrowser, buffers: Bytes[]) => void,
    private readonly lane: string,
    readonly session = "one",
  ) {}

  instance = "";

  get link(): string | undefined {
    return this.links.at(-1);
  }

  get isQuiet(): boolean {
    return this.unacked.length === 0;
  }

  submit(commands: Command[], buffers: Bytes[] = []): void {
    const batch: Batch = { kind: "batch", instance: this.instance, seq: ++this.sent, epoch: 1, commands };
    this.unacked.push({ batch, buffers });
    this.send(batch, buffers);
  }

  private send(message: ToBrowser, buffers: Bytes[] = []): void {
    if (this.link !== undefined) this.transmit(this.link, message, buffers);
  }

  closed(link: string): void {
    const index = this.links.indexOf(link);
    if (index < 0) return;
    const active = index === this.links.length - 1;
    this.links.splice(index, 1);
    if (active) this.send({ kind: "resume", instance: this.instance, received: this.received });
  }

  /** What the connection does after a silence. */
  recover(): void {
    this.send({ kind: "resume", instance: this.instance, received: this.received });
    this.resend();
  }

  receive(link: string, message: ToPython): void {
    if (message.kind === "hello") {
      this.instance = message.instance;
      const index = this.links.indexOf(link);
      if (index >= 0) this.links.splice(index, 1);
      if (link === "comm") this.links.unshift(link);
      else this.links.push(link);
      const lane = link === "comm" ? { url: this.lane, token: "t" } : null;
      this.transmit(link, { kind: "welcome", instance: this.instance, protocol_version: 1, session: this.session, received: this.received, lane }, []);
      if (message.session === this.session && this.link === link) {
        this.ack(message.received);
        this.resend();
      }
      return;
    }
    if (!this.links.includes(link)) return;
    if (message.kind === "ack") this.ack(message.ack);
    else if (message.kind === "resume") {
      if (link !== this.link) {
        this.links.splice(this.links.indexOf(link) + 1);
        this.send({ kind: "resume", instance: this.instance, received: this.received });
      }
      this.ack(message.received);
      this.resend();
    } else if ("seq" in message) {
      if (message.seq > this.received) this.early.set(message.seq, message);
      for (let next = this.early.get(this.received + 1); next; next = this.early.get(this.received + 1)) {
        this.early.delete(++this.received);
        this.got.push(next);
      }
      this.send({ kind: "ack", instance: this.instance, ack: this.received });
    }
  }

  private ack(ack: number): void {
    this.unacked = this.unacked.filter(({ batch }) => batch.seq > ack);
  }

  private resend(): void {
    for (const { batch, buffers } of this.unacked) this.send(batch, buffers);
  }
}
