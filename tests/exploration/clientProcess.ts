// A client process: the machine that ships, and around it what a host keeps: handlers that run, writes under way, which
// message is which, whether it has stopped. A step is a function of the process and an event, so each is computed once.

import type {
  ClientHost,
  ClientOptions,
  ClientSession,
  ClientState,
} from '../../src/session/clientSession.ts'
import type { Entry } from '../../src/session/entry.ts'
import type { Write } from '../../src/session/store.ts'
import type { Box } from './disk.ts'
import { type Effect, type Outcome, type Running, Violation } from './effects.ts'
import type { Engine } from './engine.ts'
import { copy, Interner } from './interner.ts'
import { ACK_AT, dueAt, GIVE_UP_AT, LEAVE_AT, PING_AT, PONG_WITHIN, TTL_AT, withoutAck } from './times.ts'

export interface ClientProcess {
  state: ClientState
  running: Running[]
  /** Emitted and not recorded, the oldest first. */
  queue: Write[]
  /** Which message an app means by a `seq` whose fate it has not been told. */
  names: [seq: number, message: string][]
  /** Its store can no longer be written: it goes on in memory. */
  failed: boolean
  /** Why it has stopped for good; empty while it goes on. */
  stopped: string
}

export type ClientEvent =
  | { readonly do: 'send'; readonly message: string; readonly bytes: number; readonly expires: boolean }
  | { readonly do: 'cancel'; readonly message: string }
  | { readonly do: 'connected'; readonly auth: string }
  | { readonly do: 'frame'; readonly frame: string }
  | { readonly do: 'closed'; readonly code: number }
  | { readonly do: 'settle'; readonly index: number }
  | { readonly do: 'restart'; readonly box: Box }
  /** The oldest write is recorded. */
  | { readonly do: 'stored' }
  | {
      readonly do:
        | 'ackIsDue'
        | 'leave'
        | 'close'
        | 'dispose'
        | 'ttlIsOver'
        | 'giveUp'
        | 'storeFails'
        | 'ping'
        | 'silence'
    }

export class ClientProcesses {
  readonly all = new Interner<ClientProcess>(JSON.stringify)
  readonly #engine: Engine
  readonly #options: ClientOptions

  constructor(engine: Engine, options: ClientOptions) {
    this.#engine = engine
    this.#options = options
  }

  fresh(): number {
    const state = this.#engine.newClient()
    return this.all.id({ state, running: [], queue: [], names: [], failed: false, stopped: '' })
  }

  step(from: number, event: ClientEvent): Outcome {
    const effects: Effect[] = []
    let process = copy(this.all.get(from))
    if (event.do === 'restart')
      process = {
        state: this.#engine.newClient(),
        running: [],
        queue: [],
        names: [],
        failed: false,
        stopped: '',
      }
    try {
      this.#perform(process, event, effects)
    } catch (error) {
      const violation = error instanceof Violation ? error.message : `it throws: ${(error as Error).stack}`
      return { next: from, effects, violation }
    }
    dueAt(process.state.peer.inbox)
    return { next: this.all.id(process), effects, violation: '' }
  }

  #perform(process: ClientProcess, event: ClientEvent, effects: Effect[]): void {
    const { state } = process
    if (event.do === 'storeFails') process.failed = true
    const options = process.failed ? { ...this.#options, durable: false } : this.#options
    const session = new this.#engine.ClientSession(state, options, this.#host(process, effects))
    const note = (text: string) => effects.push({ do: 'note', note: text })
    const before = process.stopped
    this.#carryOut(session, process, event, note)
    // Who is told to stop does so before anything else happens.
    if (process.stopped !== before) {
      session.stop()
      if (event.do === 'dispose' || event.do === 'close') effects.push({ do: 'hangUp', conn: 0, code: 1000 })
    }
  }

  #carryOut(
    session: ClientSession,
    process: ClientProcess,
    event: ClientEvent,
    note: (text: string) => void,
  ): void {
    const { state, names } = process
    switch (event.do) {
      case 'send': {
        const { message, bytes, expires } = event
        names.push([state.peer.seq + 1, message])
        const result = session.peer.send(-1, message, bytes, 0, expires ? { expiresAt: TTL_AT } : {})
        if (result === 'taken' && (process.failed || !this.#options.durable)) note(`accepted ${message}`)
        if (result !== 'taken' && result !== 'dropped') names.pop()
        return
      }
      case 'cancel': {
        const name = names.find(([, message]) => message === event.message)
        if (!name || !session.peer.cancel(name[0])) return
        forget(process, name[0])
        note(`dropped ${event.message}`)
        return
      }
      case 'connected':
        session.connected(event.auth, 0)
        return
      case 'frame':
        session.frame(event.frame, 0)
        return
      case 'closed':
        {
          const decision = session.closed(event.code, 0)
          if (decision.action === 'stop') process.stopped = decision.reason
        }
        return
      case 'settle': {
        const [one] = process.running.splice(event.index, 1)
        const { sid, number, message } = one as Running
        note(`settled ${message} ${sid} BY`)
        session.peer.settled(sid, number, 0)
        return
      }
      case 'restart': {
        const { box } = event
        session.restore(copy(box))
        for (const { seq, payload } of [...(box.session?.messages ?? []), ...box.waiting])
          if (seq !== 0) names.push([seq, String(payload)])
        return
      }
      case 'stored':
        session.stored(process.queue.shift() as Write, 0)
        return
      case 'ackIsDue':
        session.wake(ACK_AT)
        return
      case 'leave':
        withoutAck(state.peer.inbox, () => session.wake(LEAVE_AT))
        return
      case 'ttlIsOver':
        withoutAck(state.peer.inbox, () => withoutLeaving(state, () => session.wake(TTL_AT)))
        return
      case 'giveUp':
        withoutAck(state.peer.inbox, () => withoutLeaving(state, () => session.wake(GIVE_UP_AT)))
        return
      case 'ping':
      case 'silence': {
        const at = event.do === 'ping' ? PING_AT : PING_AT + PONG_WITHIN
        withoutAck(state.peer.inbox, () => withoutLeaving(state, () => session.wake(at)))
        return
      }
      case 'close':
        if (!session.close()) process.stopped = 'closed'
        return
      case 'dispose':
        process.stopped = 'disposed'
        return
      case 'storeFails':
        process.queue = []
        session.storageFailed()
    }
  }

  #host(process: ClientProcess, effects: Effect[]): ClientHost {
    const note = (text: string) => void effects.push({ do: 'note', note: text })
    const tell = (what: string, { payload, seq }: Entry) => {
      note(`${what} ${String(payload)}`)
      forget(process, seq)
    }
    return {
      send: (frame) => void effects.push({ do: 'send', conn: 0, frame: String(frame) }),
      deliver: (sid, number, _stream, payload, flagged) => {
        const message = String(payload)
        process.running.push({ sid, number, message })
        effects.push({ do: 'start', sid, number, message, flagged })
      },
      volatile: (_stream, payload) => note(`volatile ${String(payload)}`),
      flush: () => {},
      accepted: (seq) => {
        const message = nameOf(process, seq)
        if (message !== undefined) note(`accepted ${message}`)
      },
      delivered: (seq) => {
        const message = nameOf(process, seq)
        if (message === undefined) throw new Violation(`a receipt for ${seq}, whose fate had been told`)
        note(`delivered ${message} ${process.state.peer.sid}`)
        forget(process, seq)
      },
      dropped: (entry) => tell('dropped', entry),
      handlerTimedOut: (number) => note(`gaveUp ${number} ${process.state.peer.sid} toClient`),
      ready: () => {},
      store: (write) => {
        if (process.failed || !this.#options.durable)
          throw new Violation('a write although nothing is durable')
        process.queue.push(copy(write))
      },
      pong: () => {},
      hangUp: (code, reason, decision) => {
        effects.push({ do: 'hangUp', conn: 0, code })
        if (code === 4400) note(`protocol error: the client says ${reason}`)
        if (decision.action === 'stop') process.stopped = decision.reason
      },
      opened: (resumed) => note(resumed ? 'resumed' : 'opened'),
      lost: (reason, doubtful, resent) => {
        note(`lost ${reason}`)
        for (const entry of doubtful)
          if (resent) note(`resent ${String(entry.payload)}`)
          else tell('doubt', entry)
      },
      emptied: (entry) => tell('doubt', entry),
    }
  }
}

function nameOf({ names }: { names: ClientProcess['names'] }, seq: number): string | undefined {
  return names.find(([known]) => known === seq)?.[1]
}

function forget(process: { names: ClientProcess['names'] }, seq: number): void {
  process.names = process.names.filter(([known]) => known !== seq)
}

/** The alarm of a `goaway` is put off. */
function withoutLeaving(state: ClientState, ring: () => void): void {
  const { leaveAt } = state
  state.leaveAt = -1
  ring()
  state.leaveAt = leaveAt
}
