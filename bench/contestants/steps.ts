// One step of a session's machines each, as it is while all is well, and a resume. They are not exported: the modules are taken from the build.

import type { Case, Operation, Suite } from './operations.ts'

type Session = {
  frames: typeof import('../../src/session/frames.ts')
  control: typeof import('../../src/session/control.ts')
  client: typeof import('../../src/session/clientSession.ts')
}

const LIMITS = { maxMessages: 1024, maxBytes: 4 * 2 ** 20, maxFrame: 2 ** 20 }
const OPTIONS = {
  durable: false,
  handlerTimeout: 300_000,
  pingInterval: 0,
  pongTimeout: 10_000,
  maxQueueMessages: 10_000,
  maxQueueBytes: 16 * 2 ** 20,
  overflow: 'drop-oldest',
  onSessionLost: 'report',
  ttl: 0,
} as const
const TEXT = -1
const BYTES = 200
/** Flat, as what comes from a socket is. */
const flat = (text: string) => Buffer.from(text).toString('latin1')
const text = flat('a piece of an answer that is being streamed to its reader '.padEnd(BYTES, 'and so on '))
const binary = new Uint8Array(BYTES).fill(7)
/** Numbers follow each other, so frames are made for so many, and then a session begins anew. */
const FRAMES = 32_768

function step(name: string, make: (session: Session) => Operation): Case<Session> {
  return { name, kind: 'ours', async: false, make }
}

type Client = InstanceType<Session['client']['ClientSession']>
type Effect = NonNullable<ReturnType<Client['effects']['take']>>

/** Takes what a step asks for, as whoever carries it out does; `act` does something about it. */
function drain({ effects }: Client, act?: (effect: Effect) => void): void {
  for (let effect = effects.take(); effect; effect = effects.take()) act?.(effect)
}

type Peer = Client['peer']

/** A side with a session; a client's, but it is the same on both. */
function sideOf({ client: { ClientSession, newClient } }: Session): Client {
  const side = new ClientSession(newClient(), OPTIONS)
  begin(side.peer)
  return side
}

function begin(peer: Peer): void {
  peer.begin('sid', LIMITS)
  peer.attach(0)
  peer.up(0)
}

/** Sends, and has every `every` messages acknowledged by one ack. */
function sending(session: Session, payload: string | Uint8Array<ArrayBuffer>, every: number): Operation {
  const side = sideOf(session)
  const { peer } = side
  const stream = payload === text ? TEXT : 0
  const acks = Array.from({ length: FRAMES / every }, (_, index) =>
    flat(`{"t":"ack","rx":${(index + 1) * every}}`),
  )
  let sent = 0
  return () => {
    peer.sender.send(stream, payload, BYTES, 0)
    drain(side)
    sent += 1
    if (sent % every !== 0) return
    peer.receive(acks[sent / every - 1] as string, 0)
    drain(side)
    if (sent < FRAMES) return
    begin(peer)
    sent = 0
  }
}

/** Takes messages whose handlers settle at once; acknowledges them as it has to. */
function taking(session: Session, frames: readonly (string | Uint8Array<ArrayBuffer>)[]): Operation {
  const side = sideOf(session)
  const { peer } = side
  const act = (effect: Effect) => {
    if (effect.do === 'deliver') peer.settled(effect.sid, effect.number, 0)
  }
  let at = 0
  return () => {
    const unhandled = peer.receive(frames[at] as string, 0)
    drain(side, act)
    if (unhandled !== undefined) throw new Error(`not taken: ${JSON.stringify(unhandled)}`)
    at += 1
    if (at < frames.length) return
    begin(peer)
    at = 0
  }
}

/** A client comes back with so many messages unacknowledged, none of which had arrived. */
function resuming({ client: { ClientSession, newClient } }: Session, count: number): Operation {
  const limits = { ttl: 60_000, ...LIMITS, ping: 0 }
  const opened = flat(JSON.stringify({ t: 'opened', sid: 'sid', key: 'key', rx: 0, ...limits }))
  const resumed = flat(JSON.stringify({ t: 'opened', rx: 0, ...limits }))
  const session = new ClientSession(newClient(), OPTIONS)
  session.connected('', 0)
  session.frame(opened, 0)
  for (let index = 0; index < count; index += 1) session.peer.sender.send(TEXT, text, BYTES, 0)
  return () => {
    session.closed(1006, 0)
    session.connected('', 0)
    session.frame(resumed, 0)
    drain(session)
    if (session.state.phase !== 'up') throw new Error('not resumed')
  }
}

export const cases: Record<string, Case<Session>> = {
  'encode-text': step('encode a text message', ({ frames: { encodeReliable } }) => {
    let number = 0
    return () => {
      number = (number % FRAMES) + 1
      return encodeReliable(number, TEXT, text)
    }
  }),
  'decode-text': step('decode a text message', ({ frames: { reliableNumber, textPayload } }) => {
    const frame = flat(`12345:${text}`)
    return () => textPayload(frame, reliableNumber(frame))
  }),
  'encode-binary': step('encode a binary message', ({ frames: { encodeReliable } }) => {
    return () => encodeReliable(12_345, 0, binary)
  }),
  'decode-binary': step('decode a binary message', ({ frames: { decodeFrame, encodeReliable } }) => {
    const frame = encodeReliable(12_345, 0, binary)
    return () => decodeFrame(frame)
  }),
  'encode-ack': step('encode an ack', ({ control: { encodeAck } }) => {
    let rx = 0
    return () => {
      rx = (rx % FRAMES) + 1
      return encodeAck(rx)
    }
  }),
  'decode-ack': step('decode an ack', ({ frames: { decodeFrame } }) => {
    const frame = flat('{"t":"ack","rx":12345}')
    return () => decodeFrame(frame)
  }),
  'decode-opened': step('decode an `opened`', ({ frames: { decodeFrame } }) => {
    const frame = flat(JSON.stringify({ t: 'opened', rx: 12_345, ttl: 60_000, ...LIMITS, ping: 30_000 }))
    return () => decodeFrame(frame)
  }),
  send: step('send a text, an ack every 512', (session) => sending(session, text, 512)),
  'send-binary': step('send bytes, an ack every 512', (session) => sending(session, binary, 512)),
  'send-acked': step('send a text, an ack every 32', (session) => sending(session, text, 32)),
  ack: step('send a text, and its ack', (session) => sending(session, text, 1)),
  take: step('take a text, its handler settles, an ack every 32', (session) =>
    taking(
      session,
      Array.from({ length: FRAMES }, (_, index) => flat(`${index + 1}:${text}`)),
    ),
  ),
  'take-binary': step('take bytes, their handler settles, an ack every 32', (session) =>
    taking(
      session,
      Array.from(
        { length: FRAMES },
        (_, index) => session.frames.encodeReliable(index + 1, 0, binary) as Uint8Array<ArrayBuffer>,
      ),
    ),
  ),
  resume: step('resume, nothing unacknowledged', (session) => resuming(session, 0)),
  'resume-100': step('resume, 100 unacknowledged messages', (session) => resuming(session, 100)),
}

export const suite: Suite<Session> = {
  cases,
  libraries: async (load) => ({
    frames: await load('session/frames.js'),
    control: await load('session/control.js'),
    client: await load('session/clientSession.js'),
  }),
}
