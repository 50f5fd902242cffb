// The side of a runtime that is explored: where a shell has sockets, timers and an app, this one notes what would happen.

import type { ClientEffect, PeerEffect, ServerEffect } from '../../src/session/effects.ts'
import type { Delivery, RuntimeSide, RuntimeState, SessionNews } from '../../src/session/SessionRuntime.ts'
import type { SessionWrite } from '../../src/session/store.ts'
import type { StoreWriter, WriterState, Written } from '../../src/session/storeWriter.ts'
import { type Effect, type Running, Violation } from './effects.ts'
import type { Engine } from './engine.ts'
import { copy } from './interner.ts'
import { GIVE_UP_AT } from './times.ts'

/** Settles when an event says so, which the process that is asked by then does not need it for. */
const PENDING: Promise<never> = new Promise(() => {})

/** What a process keeps of a session besides its machine's state. Plain data. */
export interface Kept<E> {
  runtime: RuntimeState<E>
  /** `null`: nothing is recorded. */
  writer: WriterState | null
}

/** What a step of a process is about. */
export interface Step {
  /** Of what comes in. */
  readonly direction: 'toClient' | 'toServer'
  readonly effects: Effect[]
  readonly running: Running[]
  /** Messages whose handler throws. */
  readonly throwing: readonly string[]
  /** What becomes of a message is told, once. */
  tell(what: 'accepted' | 'delivered' | 'dropped' | 'doubt', seq: number): void
  /** The current connection; 0 for the client's own. */
  conn(): number
  carryOut(effect: Exclude<ClientEffect | ServerEffect, PeerEffect>): void
  /** The session is over, and that is recorded. */
  onEnd(effect: (ClientEffect | ServerEffect) & { do: 'lost' | 'ended' }): void
  stale(): void
  idle(): void
}

export class ExploredSide<E extends ClientEffect | ServerEffect> implements RuntimeSide<E> {
  readonly handlerTimeout = GIVE_UP_AT
  readonly isCongested = false
  readonly hearsDelivered = false
  readonly counts = { acked: 0, dropped: 0 }
  readonly #step: Step
  readonly #toDo: (() => void)[] = []
  readonly #writers = new Set<StoreWriter>()
  #threw = 0
  #reported = 0

  constructor(step: Step) {
    this.#step = step
  }

  now(): number {
    return 0
  }

  endOfTurn(run: () => void): void {
    this.#toDo.push(run)
  }

  write(frame: string | Uint8Array): void {
    this.#step.effects.push({ do: 'send', conn: this.#step.conn(), frame: String(frame) })
  }

  writeNumbered(number: number, text: string): void {
    this.write(`${number}:${text}`)
  }

  handle({ sid, number, payload, redelivered }: Delivery): unknown {
    const { effects, running, throwing } = this.#step
    const message = String(payload)
    effects.push({ do: 'start', sid, number, message, flagged: redelivered })
    if (throwing.includes(message)) {
      this.note(`settled ${message} ${sid} BY`)
      this.#threw += 1
      throw new Error('the handler throws')
    }
    running.push({ sid, number, message })
    return PENDING
  }

  volatile(_stream: number, payload: unknown): void {
    this.note(`volatile ${String(payload)}`)
  }

  pong(): void {}

  carryOut(effect: Exclude<E, PeerEffect>): void {
    this.#step.carryOut(effect as Exclude<ClientEffect | ServerEffect, PeerEffect>)
  }

  onEnd(effect: Extract<E, { readonly do: 'lost' | 'ended' }>): void {
    this.#step.onEnd(effect as (ClientEffect | ServerEffect) & { do: 'lost' | 'ended' })
  }

  tell(news: SessionNews): void {
    if (news.name !== 'error') return
    const [, sid, number] = /handler of message (\w+)\/(\d+) took/.exec(String(news.error)) ?? []
    if (number) this.note(`gaveUp ${number} ${sid} ${this.#step.direction}`)
    else this.#reported += 1
  }

  stepped(): void {}

  schedule(writer: StoreWriter, late: boolean): void {
    if (!late) this.#writers.add(writer)
  }

  save(writes: readonly SessionWrite[]): Written {
    for (const write of writes) copy(write)
    return PENDING
  }

  stale(): void {
    this.#step.stale()
  }

  storeFailed(): void {
    throw new Violation('a store has failed that cannot')
  }

  storeIdle(): void {
    this.#step.idle()
  }

  note(text: string): void {
    this.#step.effects.push({ do: 'note', note: text })
  }

  /** The turn is over: what waited for that is done. */
  endTurn(): void {
    for (const run of this.#toDo.splice(0)) run()
    for (const writer of this.#writers) writer.flush()
    if (this.#threw > this.#reported) throw new Violation('a handler that threw is not reported')
  }
}

/** Receipts as they ship, of an app that asks about every message: what they are told is what it hears. */
export function watchedReceipts(engine: Engine, step: Step) {
  return new (class extends engine.Receipts {
    override accept(seq: number): void {
      super.accept(seq)
      step.tell('accepted', seq)
    }

    override arrive(seq: number): void {
      super.arrive(seq)
      step.tell('delivered', seq)
    }

    override fail(...failure: Parameters<InstanceType<Engine['Receipts']>['fail']>): void {
      super.fail(...failure)
      step.tell(failure[1] === 'SESSION_LOST' ? 'doubt' : 'dropped', failure[0])
    }
  })()
}

/** Facts are counted from where nothing is held back: how many there were before makes no difference between states. */
export function forgetCounts<E>(runtime: RuntimeState<E>, writer: WriterState): void {
  const { recorded } = writer
  writer.pushed -= recorded
  writer.recorded = 0
  runtime.held = runtime.held.map(({ at, effect }) => ({ at: at - recorded, effect }))
}
