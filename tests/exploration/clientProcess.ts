// A client process: the runtime that ships and its machine, and around them what an app keeps: handlers that run, which
// message is which, whether it has stopped. A step is a function of the process and an event, so each is computed once.

import { backlogEntries } from '../../src/session/backlog.ts'
import type { ClientOptions, ClientSession, ClientState } from '../../src/session/clientSession.ts'
import type { ClientEffect, ServerEffect } from '../../src/session/effects.ts'
import type { SessionRuntime } from '../../src/session/SessionRuntime.ts'
import type { Box } from './disk.ts'
import { type Effect, type Outcome, type Running, Violation } from './effects.ts'
import type { Engine } from './engine.ts'
import { copy, Interner } from './interner.ts'
import { ExploredSide, forgetCounts, type Kept, type Step, watchedReceipts } from './side.ts'
import { ACK_AT, dueAt, GIVE_UP_AT, LEAVE_AT, PING_AT, PONG_WITHIN, TTL_AT, withoutAck } from './times.ts'

export interface ClientProcess extends Kept<ClientEffect> {
  state: ClientState
  running: Running[]
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
        | 'goOn'
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
  readonly #throwing: readonly string[]

  constructor(engine: Engine, options: ClientOptions, throwing: readonly string[]) {
    this.#engine = engine
    this.#options = options
    this.#throwing = throwing
  }

  fresh(): number {
    return this.all.id(this.#blank())
  }

  step(from: number, event: ClientEvent): Outcome {
    const effects: Effect[] = []
    const process = event.do === 'restart' ? this.#blank() : copy(this.all.get(from))
    try {
      this.#perform(process, event, effects)
    } catch (error) {
      const violation = error instanceof Violation ? error.message : `it throws: ${(error as Error).stack}`
      return { next: from, effects, violation }
    }
    dueAt(process.state.peer.inbox)
    if (process.writer) forgetCounts(process.runtime, process.writer)
    return { next: this.all.id(process), effects, violation: '' }
  }

  #blank(): ClientProcess {
    const { newClient, newRuntime, newWriter } = this.#engine
    return {
      state: newClient(),
      runtime: newRuntime(),
      writer: this.#options.durable ? newWriter() : null,
      running: [],
      names: [],
      failed: false,
      stopped: '',
    }
  }

  #perform(process: ClientProcess, event: ClientEvent, effects: Effect[]): void {
    const { ClientSession, SessionRuntime, DeferredEvents } = this.#engine
    if (event.do === 'storeFails') process.failed = true
    const options = process.failed ? { ...this.#options, durable: false } : this.#options
    const session = new ClientSession(process.state, options)
    const step = this.#step(process, effects)
    const side = new ExploredSide<ClientEffect>(step)
    const events = new DeferredEvents()
    const kept = {
      state: process.runtime,
      writer: process.writer,
      receipts: watchedReceipts(this.#engine, step),
    }
    const runtime = new SessionRuntime<ClientEffect, ClientSession>(session, side, events, kept)
    const before = process.stopped
    this.#carryOut(runtime, process, event, (text) => side.note(text))
    runtime.carryOut()
    // Whose app has ended it does so before anything else happens.
    if (process.stopped !== before && (process.stopped === 'closed' || process.stopped === 'disposed')) {
      if (process.stopped === 'closed' || !process.writer) session.end()
      else session.closed(1006, 0)
      runtime.disconnected()
      runtime.carryOut()
      if (event.do === 'dispose' || event.do === 'close') effects.push({ do: 'hangUp', conn: 0, code: 1000 })
    }
    events.run()
    side.endTurn()
  }

  #carryOut(
    runtime: SessionRuntime<ClientEffect, ClientSession>,
    process: ClientProcess,
    event: ClientEvent,
    note: (text: string) => void,
  ): void {
    const session = runtime.machine
    const { state, names } = process
    switch (event.do) {
      case 'send': {
        const { message, bytes, expires } = event
        const name: [number, string] = [state.peer.seq + 1, message]
        names.push(name)
        try {
          runtime.send(-1, message, bytes, true, expires ? { expiresAt: TTL_AT } : {})
        } catch {
          process.names = process.names.filter((one) => one !== name)
          return
        }
        if (!process.writer && process.names.includes(name)) note(`accepted ${message}`)
        const waiting = backlogEntries(state.peer.backlog).find(({ seq }) => seq === name[0])
        if (waiting && (waiting.expiresAt !== -1) !== expires)
          throw new Violation(`${message} waits without the options that it was sent with`)
        return
      }
      case 'cancel': {
        const name = names.find(([, message]) => message === event.message)
        if (name) runtime.cancel(name[0])
        return
      }
      case 'connected':
        session.connected(event.auth, 0)
        return
      case 'frame':
        session.frame(event.frame, 0)
        return
      case 'closed': {
        const decision = session.closed(event.code, 0)
        runtime.disconnected()
        if (decision.action === 'stop') process.stopped = decision.reason
        return
      }
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
        process.runtime.recordedSeq = state.peer.seq
        for (const { seq, payload } of [...(box.session?.messages ?? []), ...box.waiting])
          if (seq !== 0) names.push([seq, String(payload)])
        return
      }
      case 'goOn':
        process.stopped = ''
        return
      case 'stored':
        runtime.writer?.done('stored')
        return
      case 'ackIsDue':
        runtime.wake(ACK_AT)
        return
      case 'leave':
        withoutAck(state.peer.inbox, () => runtime.wake(LEAVE_AT))
        return
      case 'ttlIsOver':
        withoutAck(state.peer.inbox, () => withoutLeaving(state, () => runtime.wake(TTL_AT)))
        return
      case 'giveUp':
        withoutAck(state.peer.inbox, () => withoutLeaving(state, () => runtime.wake(GIVE_UP_AT)))
        return
      case 'ping':
      case 'silence': {
        const at = event.do === 'ping' ? PING_AT : PING_AT + PONG_WITHIN
        withoutAck(state.peer.inbox, () => withoutLeaving(state, () => runtime.wake(at)))
        return
      }
      case 'close':
        if (!session.close()) process.stopped = 'closed'
        return
      case 'dispose':
        process.stopped = 'disposed'
        return
      case 'storeFails':
        // As the shell does: what is not recorded yet is nobody's business any more.
        runtime.writer?.stop()
        runtime.writer = undefined
        process.writer = null
        process.runtime.held = []
        session.storageFailed()
    }
  }

  #step(process: ClientProcess, effects: Effect[]): Step {
    const note = (text: string) => void effects.push({ do: 'note', note: text })
    const forget = (seq: number) => {
      process.names = process.names.filter(([known]) => known !== seq)
    }
    return {
      direction: 'toClient',
      effects,
      running: process.running,
      throwing: this.#throwing,
      conn: () => 0,
      tell: (what, seq) => {
        const message = nameOf(process, seq)
        if (what === 'accepted') {
          if (message !== undefined) note(`accepted ${message}`)
          return
        }
        if (message === undefined) throw new Violation(`${what} for ${seq}, whose fate had been told`)
        note(what === 'delivered' ? `delivered ${message} ${process.state.peer.sid}` : `${what} ${message}`)
        forget(seq)
      },
      carryOut: (effect) => this.#own(process, effect, effects, note),
      onEnd: (effect) => {
        if (effect.do !== 'lost') return
        const { reason, doubtful, resent } = effect
        note(`lost ${reason}`)
        for (const { seq, payload } of doubtful) {
          note(`${resent ? 'resent' : 'doubt'} ${String(payload)}`)
          if (!resent) forget(seq)
        }
      },
      stale: () => {
        throw new Violation('the store of the only owner refuses')
      },
      idle: () => {},
    }
  }

  #own(
    process: ClientProcess,
    effect: Parameters<Step['carryOut']>[0],
    effects: Effect[],
    note: (text: string) => void,
  ): void {
    switch ((effect as ClientEffect | ServerEffect).do) {
      case 'hangUp': {
        const { code, reason, decision } = effect as ClientEffect & { do: 'hangUp' }
        effects.push({ do: 'hangUp', conn: 0, code })
        if (code === 4400) note(`protocol error: the client says ${reason}`)
        if (decision.action === 'stop') process.stopped = decision.reason
        return
      }
      case 'opened':
        note((effect as ClientEffect & { do: 'opened' }).resumed ? 'resumed' : 'opened')
    }
  }
}

function nameOf({ names }: { names: ClientProcess['names'] }, seq: number): string | undefined {
  return names.find(([known]) => known === seq)?.[1]
}

/** The alarm of a `goaway` is put off. */
function withoutLeaving(state: ClientState, ring: () => void): void {
  const { leaveAt } = state
  state.leaveAt = -1
  ring()
  state.leaveAt = leaveAt
}
