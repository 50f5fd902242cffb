// The wire protocols of the realtime clients, as far as the benchmarks go: a message each way, and the handshake.
// One server speaks them all over the same sockets, so that what differs between contestants is the client alone.
// (SignalR's and Centrifugo's own servers are programs in C# and Go, far faster or slower than one in Node.)

import { NumberedBlock } from './frames.ts'

/** What the server does with one connection. */
export interface Speaker {
  /** Texts to send when the socket opens. */
  readonly greeting: readonly string[]
  /** Takes a text apart: application messages as JSON texts, and answers the protocol itself owes. */
  read(text: string): { messages: readonly string[]; replies: readonly string[] }
  /** The text that carries one application message, given as JSON. */
  wrap(json: string): string
  /** Where no two messages look alike: makes the frames of the next `count` messages, all of them `json`, at each call. */
  blocks?(json: string, count: number): () => Buffer
  /** What keeps the client content while nothing happens. */
  readonly heartbeat: string | undefined
  /** The client speaks first, and wants an answer to that before anything else. */
  readonly handshakes?: true
  /** Milliseconds between them, as its own server has it by default. */
  readonly heartbeatMs?: number
}

const NONE: readonly string[] = []

/** Bare JSON, one message a frame: what GuruConnection and every WebSocket wrapper speak. */
function plain(): Speaker {
  return {
    greeting: NONE,
    heartbeat: undefined,
    wrap: (json) => json,
    read: (text) => ({ messages: [text], replies: NONE }),
  }
}

/** guru.v1 (PROTOCOL.md): numbered messages, acknowledged every 32. */
function session(): Speaker {
  let sent = 0
  let taken = 0
  return {
    greeting: NONE,
    heartbeat: undefined,
    blocks(json, count) {
      const block = new NumberedBlock(json, count)
      return () => {
        const frames = block.from(sent + 1)
        sent += count
        return frames
      }
    },
    wrap(json) {
      sent += 1
      return `${sent}:${json}`
    },
    read(text) {
      if (!text.startsWith('{')) {
        taken += 1
        const replies = taken % 32 === 0 ? [`{"t":"ack","rx":${taken}}`] : NONE
        return { messages: [text.slice(text.indexOf(':') + 1)], replies }
      }
      if (!text.startsWith('{"t":"open"')) return { messages: NONE, replies: NONE }
      const limits = '"maxMessages":1000000,"maxBytes":1000000000,"maxFrame":1000000'
      return {
        messages: NONE,
        replies: [`{"t":"opened","sid":"s","key":"k","rx":0,"ttl":60000,${limits},"ping":0}`],
      }
    },
  }
}

/** socket.io protocol 5 over engine.io protocol 4. */
function socketIo(): Speaker {
  return {
    greeting: [
      '0{"sid":"bench","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}',
    ],
    heartbeat: '2',
    heartbeatMs: 25_000,
    wrap: (json) => `42["message",${json}]`,
    read(text) {
      if (text.startsWith('42["message",')) return { messages: [text.slice(13, -1)], replies: NONE }
      return { messages: NONE, replies: text.startsWith('40') ? ['40{"sid":"bench"}'] : NONE }
    },
  }
}

/** SignalR's JSON hub protocol: records end with 0x1E, several may share a frame. */
function signalR(): Speaker {
  return {
    greeting: NONE,
    heartbeat: '{"type":6}\x1e',
    handshakes: true,
    heartbeatMs: 15_000,
    wrap: (json) => `{"type":1,"target":"message","arguments":[${json}]}\x1e`,
    read(text) {
      const messages: string[] = []
      const replies: string[] = []
      for (const entry of text.split('\x1e')) {
        const start = entry.indexOf('"arguments":[')
        if (start >= 0) messages.push(entry.slice(start + 13, entry.lastIndexOf(']')))
        else if (entry.startsWith('{"protocol"')) replies.push('{}\x1e')
      }
      return { messages, replies }
    },
  }
}

/** Centrifugo's JSON client protocol: commands a line each. */
function centrifugo(): Speaker {
  return {
    greeting: NONE,
    heartbeat: '{}',
    heartbeatMs: 25_000,
    wrap: (json) => `{"push":{"message":{"data":${json}}}}`,
    read(text) {
      const messages: string[] = []
      const replies: string[] = []
      for (const line of text.split('\n')) {
        if (line.startsWith('{"send":{"data":')) messages.push(line.slice(16, -2))
        else if (line.startsWith('{"connect"') || line.includes(',"connect"')) {
          const { id } = JSON.parse(line) as { id: number }
          replies.push(`{"id":${id},"connect":{"client":"bench","version":"0","ping":25,"pong":true}}`)
        }
      }
      return { messages, replies }
    },
  }
}

/** By the path of the upgrade. */
export function speakerFor(path: string, subprotocol: string): Speaker {
  if (subprotocol === 'guru.v1') return session()
  if (path.startsWith('/socket.io/')) return socketIo()
  if (path.startsWith('/hub')) return signalR()
  if (path.startsWith('/centrifugo')) return centrifugo()
  return plain()
}
