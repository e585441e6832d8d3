import { describe, expect, test } from "vitest";
import { type Batch, CHUNK_BYTES, type Command, type Hello, type ToBrowser, type ToPython, WINDOW_BYTES } from "../src/protocol.gen.js";
import { Session, type SessionHost } from "../src/session.js";
import type { Link } from "../src/transports/link.js";
import { PythonTwin } from "./twin.js";

/** WEBGPU_WIDGET_SEED, to repeat a run. */
declare const SEED: string;

const ABOUT: Pick<Hello, "host" | "loopback" | "visible" | "user_agent" | "no_gpu_reason"> = {
  host: "test",
  loopback: true,
  visible: true,
  user_agent: "test",
  no_gpu_reason: null,
};

class Wire implements Link {
  readonly sent: { message: ToPython; buffers: readonly Uint8Array<ArrayBuffer>[] }[] = [];
  open = true;
  constructor(
    readonly kind: "comm" | "websocket" = "comm",
    readonly name: string = kind,
    private readonly onSend?: (message: ToPython) => void,
    private readonly onClose?: () => void,
  ) {}
  send(message: ToPython, buffers: readonly Uint8Array<ArrayBuffer>[]): void {
    this.sent.push({ message, buffers });
    this.onSend?.(message);
  }
  close(): void {
    this.open = false;
    this.onClose?.();
  }
  kinds(): string[] {
    return this.sent.map(({ message }) => message.kind);
  }
  last(): ToPython | undefined {
    return this.sent.at(-1)?.message;
  }
}

interface World {
  session: Session;
  batches: Batch[];
  log: string[];
  timers: { at: number; action: () => void }[];
  lanes: Wire[];
}

function world(overrides: Partial<SessionHost> = {}): World {
  const made: Omit<World, "session"> = { batches: [], log: [], timers: [], lanes: [] };
  const host: SessionHost = {
    describe: () => ABOUT,
    openLane: () => {
      const lane = new Wire("websocket");
      made.lanes.push(lane);
      return lane;
    },
    after: (delayMs, action) => {
      made.timers.push({ at: delayMs, action });
    },
    batch: (batch) => made.batches.push(batch),
    workingOn: () => "'spin'",
    fresh: (reason) => made.log.push(`fresh ${reason}`.trim()),
    cancel: (ids) => made.log.push(`cancel ${ids.join()}`),
    reset: (reason) => made.log.push(`reset ${reason}`),
    close: () => made.log.push("close"),
    changed: () => undefined,
    ...overrides,
  };
  return { ...made, session: new Session("me", host) };
}

const welcome = (session = "one", received = 0, lane: { url: string; token: string } | null = null): ToBrowser => ({
  kind: "welcome",
  instance: "me",
  protocol_version: 1,
  session,
  received,
  lane,
});
const batch = (seq: number, ...commands: Command[]): Batch => ({ kind: "batch", instance: "me", seq, epoch: 1, commands });
const ask = (id: string): Command => ({ op: "synchronize", id });

function led(overrides: Partial<SessionHost> = {}): World & { comm: Wire } {
  const made = world(overrides);
  const comm = new Wire();
  made.session.hello(comm);
  made.session.receive(comm, welcome(), []);
  return { ...made, comm };
}

describe("election", () => {
  test("hello says who is there, again at a roll-call", () => {
    const { session } = world();
    const comm = new Wire();
    session.hello(comm);
    expect(comm.last()).toMatchObject({ kind: "hello", instance: "me", session: null, received: 0, protocol_version: 1 });
    session.receive(comm, { kind: "roll-call" }, []);
    expect(comm.kinds()).toEqual(["hello", "hello"]);
  });

  test("a welcome for another instance changes nothing", () => {
    const { session } = world();
    const comm = new Wire();
    session.hello(comm);
    session.receive(comm, { ...welcome(), instance: "other" } as ToBrowser, []);
    expect(session.role).toBe("waiting");
  });

  test("a leader says which session it has led, and how far", () => {
    const { session, comm } = led();
    session.receive(comm, batch(1, ask("a")), []);
    session.receive(comm, { kind: "roll-call" }, []);
    expect(comm.last()).toMatchObject({ kind: "hello", session: "one", received: 1 });
  });

  test("standby keeps quiet until a roll-call", () => {
    const { session, comm, log, batches } = led();
    session.receive(comm, { kind: "standby", instance: "me" }, []);
    const before = comm.sent.length;
    session.receive(comm, batch(1, ask("a")), []);
    session.progress("a", 0, {});
    expect([session.role, batches.length, comm.sent.length - before, log.at(-1)]).toEqual(["standby", 0, 0, "fresh another page leads"]);
    session.receive(comm, { kind: "roll-call" }, []);
    expect(comm.last()?.kind).toBe("hello");
  });

  test("refuse ends it, with Python's words", () => {
    const { session, comm } = led();
    session.receive(comm, { kind: "refuse", instance: "me", message: "reload" }, []);
    expect([session.role, session.refusal]).toEqual(["refused", "reload"]);
  });

  test("a new session starts both streams anew", () => {
    const { session, comm, log, batches } = led();
    session.receive(comm, batch(1, ask("a")), []);
    session.result("a", {});
    session.receive(comm, welcome("two"), []);
    expect(log).toEqual(["fresh", "fresh Python began a new session"]);
    session.receive(comm, batch(1, ask("b")), []);
    session.result("b", {});
    expect(batches.length).toBe(2);
    expect(comm.last()).toMatchObject({ kind: "result", id: "b", seq: 1 });
  });

  test("ping is answered on the link that it came by", () => {
    const { session, comm } = led();
    session.receive(comm, { kind: "ping", instance: "me", nonce: 7 }, []);
    expect(comm.last()).toEqual({ kind: "pong", instance: "me", nonce: 7, working_on: "'spin'" });
  });

  test("bye is said once", () => {
    const { session, comm } = led();
    session.bye();
    session.bye();
    expect(comm.kinds().filter((kind) => kind === "bye").length).toBe(1);
  });

  test("close frees everything and ends the talk", () => {
    const { session, comm, log } = led();
    session.receive(comm, { kind: "close", instance: "me" }, []);
    session.receive(comm, { kind: "roll-call" }, []);
    expect([session.role, log.at(-1), comm.last()?.kind]).toEqual(["closed", "close", "hello"]);
  });
});

describe("streams", () => {
  test("batches are delivered in order and once", () => {
    const { session, comm, batches } = led();
    for (const seq of [2, 1, 1, 2, 4, 3]) session.receive(comm, batch(seq), []);
    expect(batches.map((found) => found.seq)).toEqual([1, 2, 3, 4]);
  });

  test("a batch that comes twice is acknowledged at once, and nothing is missed for it", () => {
    const { session, comm, timers } = led();
    session.receive(comm, batch(1), []);
    session.dealtWith(1);
    timers.length = 0;
    session.receive(comm, batch(1), []);
    expect(comm.last()).toEqual({ kind: "ack", instance: "me", ack: 1 });
    expect(timers).toEqual([]);
  });

  test("a page that comes back on a new socket sends what Python has not got", () => {
    const { session } = world();
    const first = new Wire("websocket");
    session.hello(first);
    session.receive(first, welcome(), []);
    session.receive(first, batch(1, ask("a"), ask("b")), []);
    session.result("a", {});
    session.linkClosed(first);
    session.result("b", {});
    const second = new Wire("websocket");
    session.hello(second);
    expect(second.last()).toMatchObject({ kind: "hello", session: "one", received: 1 });
    session.receive(second, welcome("one", 1), []);
    expect(second.sent.slice(1).map(({ message }) => message)).toMatchObject([{ kind: "result", id: "b", seq: 2 }]);
  });

  test("what does not come is asked for again", () => {
    const { session, comm, timers } = led();
    session.receive(comm, batch(2), []);
    timers.shift()?.action();
    expect(comm.last()).toEqual({ kind: "resume", instance: "me", received: 0 });
    session.receive(comm, batch(1), []);
    const before = comm.sent.length;
    timers.shift()?.action();
    expect(comm.sent.length).toBe(before);
  });

  test("ack comes after MiB, after messages, or after a while", () => {
    const { session, comm, timers } = led();
    const acks = (): number[] => comm.sent.flatMap(({ message }) => (message.kind === "ack" ? [message.ack] : []));
    session.receive(comm, batch(1), [new Uint8Array(CHUNK_BYTES)]);
    expect(acks()).toEqual([]);
    session.dealtWith(1);
    expect(acks()).toEqual([1]);
    for (let seq = 2; seq <= 17; seq++) {
      session.receive(comm, batch(seq), []);
      session.dealtWith(seq);
    }
    expect(acks()).toEqual([1, 17]);
    session.receive(comm, batch(18), []);
    session.dealtWith(18);
    expect(acks()).toEqual([1, 17]);
    timers.at(-1)?.action();
    expect(acks()).toEqual([1, 17, 18]);
  });

  test("unacked messages are sent again on resume, acked ones are not", () => {
    const { session, comm } = led();
    session.receive(comm, batch(1, ask("a"), ask("b"), ask("c")), []);
    for (const id of ["a", "b", "c"]) session.result(id, {});
    session.receive(comm, { kind: "ack", instance: "me", ack: 1 }, []);
    const before = comm.sent.length;
    session.receive(comm, { kind: "resume", instance: "me", received: 2 }, []);
    expect(comm.sent.slice(before).map(({ message }) => ("seq" in message ? message.seq : 0))).toEqual([3]);
  });
});

describe("a page that was given up while it slept", () => {
  test("greets at the roll-call, is elected anew, and opens a lane again", () => {
    const { session, comm, lanes } = led();
    const lane = { url: "ws://lane", token: "t" };
    session.receive(comm, welcome("one", 0, lane), []);
    expect(lanes.length).toBe(1);
    session.receive(comm, { kind: "roll-call" }, []);
    session.receive(comm, welcome("two", 0, lane), []);
    expect(session.role).toBe("leader");
    expect(lanes.length).toBe(2);
  });

  test("says nothing of its session between roll-call and welcome, and all of it when that goes on", () => {
    for (const next of ["one", "two"]) {
      const { session, comm } = led();
      session.receive(comm, batch(1, ask("a"), ask("b")), []);
      session.result("a", {});
      session.receive(comm, { kind: "roll-call" }, []);
      const before = comm.sent.length;
      session.dealtWith(1);
      session.result("b", {});
      session.lost(2, "the plug");
      session.linkClosed(new Wire("websocket"));
      expect(comm.kinds().slice(before)).toEqual([]);
      session.receive(comm, welcome(next, 0), []);
      expect(comm.kinds().slice(before)).toEqual(next === "one" ? ["result", "result", "lost"] : []);
    }
  });
});

describe("requests", () => {
  test("get one terminal reply", () => {
    const { session, comm } = led();
    session.receive(comm, batch(1, ask("a")), []);
    session.result("a", { x: 1 });
    session.error("a", "internal", "late", {});
    session.result("nobody", {});
    expect(comm.kinds()).toEqual(["hello", "result"]);
  });

  test("get none after cancel", async () => {
    const { session, comm, log } = led();
    session.receive(comm, batch(1, ask("a")), []);
    session.receive(comm, { kind: "cancel", instance: "me", ids: ["a"] }, []);
    session.result("a", {});
    expect(await session.chunk("a", 0, 0, 4, new Uint8Array(4))).toBe(false);
    expect([comm.kinds(), log.at(-1), session.isCancelled("a")]).toEqual([["hello"], "cancel a", true]);
  });

  test("chunks wait for credit, in order", async () => {
    const { session, comm } = led();
    session.receive(comm, batch(1, ask("a")), []);
    const sizes = Array.from({ length: 6 }, () => CHUNK_BYTES);
    const results = sizes.map((size, at) => session.chunk("a", 0, at * size, 6 * size, new Uint8Array(size)));
    await Promise.resolve();
    const chunks = (): number[] => comm.sent.flatMap(({ message }) => (message.kind === "chunk" ? [message.offset / CHUNK_BYTES] : []));
    const window = WINDOW_BYTES / CHUNK_BYTES;
    expect(chunks()).toEqual([0, 1].slice(0, window));
    session.receive(comm, { kind: "ack", instance: "me", ack: 1 }, []);
    await results[2];
    expect(chunks()).toEqual([0, 1, 2]);
    session.receive(comm, { kind: "ack", instance: "me", ack: 3 }, []);
    expect(await results[4]).toBe(true);
    expect(chunks()).toEqual([0, 1, 2, 3, 4]);
    session.receive(comm, welcome("two"), []);
    expect(await results[5]).toBe(false);
  });
});

describe("lane", () => {
  const laneWorld = (): World & { comm: Wire; lane: Wire } => {
    const made = world();
    const comm = new Wire();
    made.session.hello(comm);
    made.session.receive(comm, welcome("one", 0, { url: "ws://127.0.0.1:1/ws", token: "t" }), []);
    const lane = made.lanes[0];
    if (!lane) throw new Error("no lane was opened");
    made.session.hello(lane);
    return { ...made, comm, lane };
  };

  test("carries everything once Python has welcomed it there", () => {
    const { session, comm, lane } = laneWorld();
    expect(lane.last()).toMatchObject({ kind: "hello", session: "one", received: 0 });
    session.receive(comm, batch(1, ask("a"), ask("b")), []);
    session.result("a", {});
    expect(comm.last()?.kind).toBe("result");
    session.receive(lane, welcome("one", 1), []);
    session.result("b", {});
    expect(lane.kinds()).toEqual(["hello", "result"]);
  });

  test("a welcome on the comm does not take over while it is open, nor open a second one", () => {
    const { session, comm, lane, lanes } = laneWorld();
    session.receive(lane, welcome(), []);
    session.receive(comm, welcome("one", 0, { url: "ws://127.0.0.1:1/ws", token: "t" }), []);
    expect([session.link, lanes.length]).toEqual([lane, 1]);
  });

  test("when it breaks, the comm goes on without loss", () => {
    const { session, comm, lane } = laneWorld();
    session.receive(lane, welcome(), []);
    session.receive(lane, batch(1, ask("a"), ask("b")), []);
    session.result("a", {});
    session.linkClosed(lane);
    expect(comm.last()).toEqual({ kind: "resume", instance: "me", received: 1 });
    session.receive(comm, { kind: "resume", instance: "me", received: 0 }, []);
    session.result("b", {});
    expect(comm.kinds().slice(-2)).toEqual(["result", "result"]);
  });

  test("when Python notices first, it is given up here too", () => {
    const { session, comm, lane } = laneWorld();
    session.receive(lane, welcome(), []);
    session.receive(lane, batch(1, ask("a")), []);
    session.result("a", {});
    session.receive(comm, { kind: "resume", instance: "me", received: 0 }, []);
    expect([lane.open, session.link, comm.kinds().slice(-2)]).toEqual([false, comm, ["resume", "result"]]);
  });
});

/** Numbers from a printed seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Flying {
  readonly link: string;
  readonly deliver: () => void;
}

/** Run both sides over links that break, delay and duplicate; returns what each side got. */
function storm(seed: number): { batches: number[]; results: string[]; wanted: number } {
  const next = random(seed);
  const flying: Flying[] = [];
  const timers: (() => void)[] = [];
  const wires = new Map<string, Wire>();
  const batches: number[] = [];
  let laneNumber = 0;
  const fly = (link: string, deliver: () => void): void => {
    if (!wires.get(link)?.open) return;
    flying.push({ link, deliver });
    if (next() < 0.05) flying.push({ link, deliver });
  };
  const python = new PythonTwin((link, message, buffers) => fly(link, () => session.receive(wire(link), message, buffers)), "ws://lane");
  const wire = (link: string): Wire => {
    const found = wires.get(link);
    if (!found) throw new Error(`no link ${link}`);
    return found;
  };
  const drop = (link: string): void => {
    for (let at = flying.length - 1; at >= 0; at--) if (flying[at]?.link === link) flying.splice(at, 1);
  };
  const connect = (kind: "comm" | "websocket", name: string): Wire => {
    const heard = (message: ToPython): void => fly(name, () => python.receive(name, structuredClone(message)));
    // What the page closes is closed for Python too, and nothing of it comes afterwards.
    const closed = (): void => {
      drop(name);
      flying.push({ link: "comm", deliver: () => python.closed(name) });
    };
    const made = new Wire(kind, name, heard, closed);
    wires.set(name, made);
    return made;
  };
  const host: SessionHost = {
    describe: () => ABOUT,
    openLane: () => {
      const lane = connect("websocket", `lane ${++laneNumber}`);
      flying.push({ link: lane.name, deliver: () => session.hello(lane) });
      return lane;
    },
    after: (_, action) => {
      timers.push(action);
    },
    batch: (found) => {
      batches.push(found.seq);
      for (const command of found.commands) if ("id" in command) session.result(command.id, {});
      session.dealtWith(found.seq);
    },
    workingOn: () => "",
    fresh: () => undefined,
    cancel: () => undefined,
    reset: () => undefined,
    close: () => undefined,
    changed: () => undefined,
  };
  const session = new Session("me", host);
  session.hello(connect("comm", "comm"));
  let submitted = 0;
  const wanted = 60;
  const breakLane = (): void => {
    const lane = [...wires.values()].find((found) => found.kind === "websocket" && found.open);
    if (!lane) return;
    lane.open = false;
    drop(lane.name);
    const notices = [() => session.linkClosed(lane), () => python.closed(lane.name)];
    if (next() < 0.5) notices.reverse();
    for (const notice of notices) flying.push({ link: "comm", deliver: notice });
  };
  for (let step = 0; step < 20000; step++) {
    const dice = next();
    if (dice < 0.1 && submitted < wanted && python.link !== undefined) {
      submitted++;
      python.submit([{ op: "synchronize", id: `r${submitted}` }]);
    } else if (dice < 0.12) breakLane();
    else if (dice < 0.14) session.receive(wire("comm"), { kind: "roll-call" }, []);
    else if (flying.length > 0) {
      // One link keeps its order; links overtake each other.
      const links = [...new Set(flying.map((message) => message.link))];
      const chosen = links[Math.floor(next() * links.length)];
      const at = flying.findIndex((message) => message.link === chosen);
      flying.splice(at, 1)[0]?.deliver();
    } else if (timers.length > 0) timers.shift()?.();
    else if (submitted >= wanted && python.isQuiet && python.got.length >= wanted) break;
    else python.recover();
  }
  return { batches, results: python.got.flatMap((message) => ("id" in message && message.kind === "result" ? [message.id] : [])), wanted };
}

/** What can befall a page between two messages; `over` when it may leave requests without an answer. */
const FAULTS: Record<string, { over?: boolean; strike(session: Session, links: { comm: Wire; lane: Wire }): void }> = {
  nothing: { strike: () => undefined },
  "the lane closes": { strike: (session, { lane }) => session.linkClosed(lane) },
  "every link closes": {
    strike: (session, { comm, lane }) => {
      session.linkClosed(lane);
      session.linkClosed(comm);
      session.receive(comm, welcome("one", 0), []);
    },
  },
  "Python asks who is there": {
    strike: (session, { comm }) => {
      session.receive(comm, { kind: "roll-call" }, []);
      session.receive(comm, welcome("one", 0), []);
    },
  },
  "Python gives the lane up": { strike: (session, { comm }) => session.receive(comm, { kind: "resume", instance: "me", received: 0 }, []) },
  "Python pings": { strike: (session, { lane }) => session.receive(lane, { kind: "ping", instance: "me", nonce: 1 }, []) },
  "Python gives requests up": { over: true, strike: (session, { comm }) => session.receive(comm, { kind: "cancel", instance: "me", ids: ["a", "b"] }, []) },
  "Python resets": { strike: (session, { comm }) => session.receive(comm, { kind: "reset", instance: "me", reason: "slow" }, []) },
  "the device is lost": {
    strike: (session) => {
      session.lost(2, "the plug");
      for (const id of [...session.requests]) session.error(id, "device-lost", "gone", {});
    },
  },
  "Python begins anew": { over: true, strike: (session, { comm }) => session.receive(comm, welcome("two"), []) },
  "another page leads": { over: true, strike: (session, { comm }) => session.receive(comm, { kind: "standby", instance: "me" }, []) },
  "Python refuses": {
    over: true,
    strike: (session, { comm }) => session.receive(comm, { kind: "refuse", instance: "me", message: "no" }, []),
  },
  "Python ends it": { over: true, strike: (session, { comm }) => session.receive(comm, { kind: "close", instance: "me" }, []) },
  "the page goes": { over: true, strike: (session) => session.bye() },
};

describe("a fault between every two events", () => {
  for (const [name, fault] of Object.entries(FAULTS)) {
    test(name, async () => {
      for (let before = 0; before <= 10; before++) {
        let released = 0;
        const { session, comm, log } = led();
        const lane = new Wire("websocket");
        session.hello(lane);
        session.receive(lane, welcome(), []);
        const chunks: Promise<boolean>[] = [];
        const bytes = (): Uint8Array<ArrayBuffer> => new Uint8Array(WINDOW_BYTES / 2);
        const story: (() => void)[] = [
          () => session.receive(lane, batch(1, ask("a")), []),
          () => session.receive(lane, batch(2, ask("b"), ask("c")), []),
          () => session.dealtWith(1),
          () => chunks.push(session.chunk("a", 0, 0, WINDOW_BYTES, bytes(), () => released++)),
          () => chunks.push(session.chunk("a", 0, WINDOW_BYTES / 2, WINDOW_BYTES, bytes(), () => released++)),
          () => chunks.push(session.chunk("b", 0, 0, WINDOW_BYTES / 2, bytes(), () => released++)),
          () => session.receive(lane, { kind: "ack", instance: "me", ack: 2 }, []),
          () => session.result("a", {}),
          () => session.progress("b", 2, {}),
          () => session.result("b", {}),
        ];
        const at = `after event ${before}`;
        for (const [index, event] of story.entries()) {
          if (index === before) fault.strike(session, { comm, lane });
          event();
        }
        if (before === story.length) fault.strike(session, { comm, lane });
        session.error("c", "internal", "the end", {});
        // Python has all that was sent, on whichever link it came.
        const heard = [...comm.sent, ...lane.sent].map(({ message }) => message);
        const last = heard.reduce((most, message) => ("seq" in message ? Math.max(most, message.seq) : most), 0);
        session.receive(comm, { kind: "ack", instance: "me", ack: last }, []);
        const ended = new Map<string, Set<number>>();
        for (const message of heard) {
          if (message.kind === "result" || message.kind === "error") ended.set(message.id, (ended.get(message.id) ?? new Set()).add(message.seq));
        }
        for (const [id, seqs] of ended) expect(seqs.size, `${at}: replies to ${id}`).toBe(1);
        if (!fault.over) expect([...ended.keys()].sort(), at).toEqual(["a", "b", "c"]);
        expect(session.requests.size, `${at}: requests left`).toBe(0);
        await Promise.all(chunks);
        if (session.role === "leader") session.receive(session.link ?? comm, { kind: "ack", instance: "me", ack: 1000 }, []);
        expect(released, `${at}: bytes let go`).toBe(3);
        // What comes next is right, if there is to be a next.
        if (session.role === "closed" || session.role === "refused") continue;
        const again = new Wire("websocket");
        session.hello(again);
        expect(again.last(), at).toMatchObject({ kind: "hello" });
        session.receive(again, welcome("three"), []);
        session.receive(again, batch(1, ask("next")), []);
        session.result("next", { right: true });
        expect(again.last(), at).toMatchObject({ kind: "result", id: "next", seq: 1, value: { right: true } });
        expect(log.filter((line) => line.startsWith("fresh")).length, at).toBeGreaterThan(0);
      }
    });
  }
});

test("nothing is lost, doubled or reordered while lanes come and go", () => {
  const first = SEED ? Number(SEED) : Math.floor(Math.random() * 2 ** 31);
  for (let run = 0; run < 100; run++) {
    const seed = first + run;
    const { batches, results, wanted } = storm(seed);
    const order = Array.from({ length: wanted }, (_, i) => i + 1);
    expect(batches, `seed ${seed}: batches`).toEqual(order);
    expect(results, `seed ${seed}: replies`).toEqual(order.map((number) => `r${number}`));
  }
});

test("a lane that broke is opened again when Python offers it again, and not while it is open", () => {
  const { session, lanes } = world();
  const comm = new Wire("comm");
  const offered = { url: "ws://127.0.0.1:1/ws", token: "t" };
  session.hello(comm);
  session.receive(comm, welcome("one", 0, offered), []);
  session.receive(comm, welcome("one", 0, offered), []);
  expect(lanes.length).toBe(1);
  const [first] = lanes;
  if (!first) throw new Error("no lane");
  session.receive(first, welcome("one", 0), []);
  expect(session.link).toBe(first);
  session.linkClosed(first);
  expect(session.link).toBe(comm);
  session.receive(comm, welcome("one", 0, offered), []);
  expect(lanes.length).toBe(2);
  // One that never opened is given up as well.
  session.linkClosed(lanes[1] as Wire);
  session.receive(comm, welcome("one", 0, offered), []);
  expect(lanes.length).toBe(3);
});
