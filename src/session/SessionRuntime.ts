// Carries out what the machine of one session says, for both sides: puts frames on the connection, starts handlers, has
// facts recorded before anybody hears of them, settles receipts, and tells the app in the order of what happened. What a
// connection is, how an app is called and when the next wake-up comes is the affair of its side
// (`connection/sessionLayer.ts`, `server/SessionHost.ts`; tests/exploration has a third one).

import { CommsError, TimeoutError } from '../core/errors.ts'
import { isThenable } from '../core/isThenable.ts'
import { encodeAck } from './control.ts'
import type { DeferredEvents } from './deferredEvents.ts'
import type { EffectList, PeerEffect } from './effects.ts'
import type { DropReason, Entry } from './entry.ts'
import type { Frame, Payload } from './frames.ts'
import type { Peer } from './peer.ts'
import { PendingAnswers } from './pendingAnswers.ts'
import { messageId, Receipts } from './receipts.ts'
import type { SendOptions } from './sender.ts'
import type { SessionWrite, Write } from './store.ts'
import { StoreWriter, type WriterOwner, type WriterState, type Written } from './storeWriter.ts'
import { refusal } from './texts.ts'

/** What the machines of both sides have. */
export interface Machine<E> {
  readonly peer: Peer
  readonly effects: EffectList<E>
  readonly wakeAt: number
  stored(write: Write, now: number): void
  wake(now: number): void
}

/** The end of a session, which is told once it is recorded. */
interface EndEffect {
  readonly do: 'lost' | 'ended'
}

/** A message that came in. */
export type Delivery = PeerEffect & { readonly do: 'deliver' }

/** What became of messages, and what else an app hears. */
export type SessionNews =
  | { readonly name: 'delivered'; readonly seq: number }
  | {
      readonly name: 'dropped'
      readonly entry: Entry
      /** `refused`: the other side ended the connection over its size; whether it was handled is unknown. */
      readonly reason: DropReason | 'refused'
    }
  | { readonly name: 'flush'; readonly stream: number }
  | { readonly name: 'drain' }
  | { readonly name: 'error'; readonly error: unknown }

/** What a runtime needs of its side. None of it may throw, but for `handle`, `volatile` and `save`. */
export interface RuntimeSide<E extends { readonly do: string }> {
  /** In whole milliseconds; the same within a turn. */
  now(): number
  /** For the error that says so: how long a handler may take, in milliseconds. */
  readonly handlerTimeout: number
  /** Has `run` called before the turn is over. */
  endOfTurn(run: () => void): void
  /** Puts a frame on the current connection; nothing when there is none. */
  write(frame: Frame): void
  /** The same for the text frame `number:text`. */
  writeNumbered(number: number, text: string): void
  /** Whether the other side does not read what we send: then it is not sent what can wait. */
  readonly isCongested: boolean
  /** Calls the app's handler. Returns what settles when that has, or anything else when it has. */
  handle(message: Delivery): unknown
  volatile(stream: number, payload: Payload): void
  /** A ping of ours was answered; `at` is what it carried. */
  pong(at: number): void
  /** What only this side does: all effects but those of a peer. The end of a session comes to `onEnd` in addition. */
  carryOut(effect: Exclude<E, PeerEffect>): void
  /** The session is over, and that is recorded: what its app is to hear of it. */
  onEnd(effect: Extract<E, EndEffect>): void
  /** What became of messages, counted. */
  readonly counts: { acked: number; dropped: number }
  /** Whether anybody listens: most apps do not, and it comes with every message. */
  readonly hearsDelivered: boolean
  /** Calls listeners. */
  tell(news: SessionNews): void
  /** A step is done. */
  stepped(): void
  /** As of `WriterOwner`; only with a store. */
  schedule(writer: StoreWriter, late: boolean): void
  save(writes: readonly SessionWrite[], held: number): Written
  stale(): void
  storeFailed(error: unknown): void
  storeIdle(): void
}

/** Plain data, as the machine's state is: a test takes up any that was reached. */
export interface RuntimeState<E> {
  /** Messages up to this `seq` are recorded. */
  recordedSeq: number
  /** The latest message for which there was no room. */
  refusedSeq: number
  /** To be acknowledged at the end of this turn; 0 for nothing. */
  ack: number
  /** What is told once so many facts are recorded: another process must not bring back what was reported as over. */
  held: { readonly at: number; readonly effect: E }[]
}

export function newRuntime<E>(): RuntimeState<E> {
  return { recordedSeq: 0, refusedSeq: 0, ack: 0, held: [] }
}

export class SessionRuntime<E extends { readonly do: string }, M extends Machine<E>> implements WriterOwner {
  readonly machine: M
  readonly state: RuntimeState<E>
  /** What the app is to hear, in order. */
  readonly events: DeferredEvents
  /** Records; `undefined` while the session lives in memory only. */
  writer: StoreWriter | undefined
  /** The machine's numbers are higher than those of receipts by as much as older processes had used up. */
  offset = 0
  readonly #side: RuntimeSide<E>
  // Made when first needed: most sessions have neither.
  #receipts: Receipts | undefined
  #answers: PendingAnswers | undefined
  #ready: PromiseWithResolvers<void> | undefined
  readonly #endTurn = () => this.#sendAck()

  /** @param kept what a test has kept of it */
  constructor(
    machine: M,
    side: RuntimeSide<E>,
    events: DeferredEvents,
    kept:
      | { readonly state: RuntimeState<E>; readonly writer: WriterState | null; readonly receipts: Receipts }
      | undefined = undefined,
  ) {
    this.machine = machine
    this.events = events
    this.state = kept?.state ?? newRuntime()
    this.#receipts = kept?.receipts
    this.#side = side
    if (kept?.writer) this.writer = new StoreWriter(kept.writer, this)
  }

  /** The fates of its messages. */
  get receipts(): Receipts {
    this.#receipts ??= new Receipts()
    return this.#receipts
  }

  /** Facts are recorded from now on. */
  startRecording(state: WriterState): void {
    this.writer = new StoreWriter(state, this)
    this.state.recordedSeq = this.machine.peer.state.seq
  }

  // What the app asks for.

  /**
   * Accepts a message.
   * @param owned bytes that nobody changes any more; else they are copied, once it is certain that they are taken
   * @returns its `seq`
   * @throws CommsError `QUEUE_FULL`, `BAD_REQUEST`
   */
  send(stream: number, payload: Payload, bytes: number, owned: boolean, options?: SendOptions): number {
    const { peer } = this.machine
    const { sender } = peer
    const kept = owned || typeof payload === 'string' || sender.isTooLarge(bytes) ? payload : payload.slice()
    const accepted = sender.send(stream, kept, bytes, this.#side.now(), options)
    const { seq, limits, backlog } = peer.state
    if (accepted === 'dropped') this.state.refusedSeq = seq
    else if (accepted !== 'taken') throw refusal(accepted, bytes, limits.maxFrame, backlog)
    this.carryOut()
    return seq
  }

  /** Sends a volatile message; false when there is no connection for it, or one that takes no more now. */
  sendVolatile(stream: number, payload: Payload): boolean {
    // What is answered late must not be overtaken by what comes after it.
    if (this.#answers?.owes(stream) || !this.machine.peer.sendVolatile(stream, payload)) return false
    this.carryOut()
    return true
  }

  interrupt(stream: number): boolean {
    const done = this.machine.peer.interrupt(stream)
    this.carryOut()
    return done
  }

  /** Takes a message back; false when it has a number, or is gone. */
  cancel(seq: number): boolean {
    if (!this.machine.peer.sender.cancel(seq)) return false
    this.receipts.fail(seq, 'CANCELLED', `message ${this.idOf(seq)} was cancelled`, false)
    this.carryOut()
    return true
  }

  /** Settles once message `seq` is accepted. */
  stored(seq: number): Promise<void> {
    return this.receipts.stored(seq, () => this.isUnrecorded(seq))
  }

  /** Settles once the other side has handled message `seq`. */
  delivered(seq: number): Promise<void> {
    return this.receipts.delivered(seq, () => this.isOpen(seq))
  }

  /** Whether the fate of message `seq` is still undecided, or not told yet. */
  isOpen(seq: number): boolean {
    return this.machine.peer.sender.keeps(seq) || this.state.held.some(({ effect }) => concerns(effect, seq))
  }

  /** Resolves when nothing waits behind the window; rejects when the session is over first. */
  whenReady(): Promise<void> {
    if (this.machine.peer.sender.waiting === 0) return Promise.resolve()
    if (!this.#ready) {
      this.#ready = Promise.withResolvers<void>()
      this.#ready.promise.catch(() => {})
    }
    return this.#ready.promise
  }

  /** Nothing more will become known here: who still waits hears why. */
  close(error: CommsError): void {
    this.receipts.close(error.code, error.message)
    this.#ready?.reject(error)
    this.#ready = undefined
  }

  idOf(seq: number): string {
    return messageId(seq - this.offset)
  }

  // What happens.

  /** Does what the machine's latest steps ask for: called after every step. */
  carryOut(): void {
    const { effects } = this.machine
    for (let effect = effects.take(); effect; effect = effects.take()) this.#do(effect)
    this.#side.stepped()
  }

  /** When `wake` is due; `Infinity` for never. */
  get wakeAt(): number {
    const { wakeAt } = this.machine
    return this.#answers ? Math.min(wakeAt, this.#answers.wakeAt) : wakeAt
  }

  wake(now: number): void {
    this.#answers?.send(now)
    this.machine.wake(now)
    this.carryOut()
  }

  /** The connection has ended, or another has taken its place: what was still to be said on it is not. */
  disconnected(): void {
    this.state.ack = 0
    this.#answers?.clear()
  }

  /** A function of the app failed, or something else that no call reports. */
  report(error: unknown): void {
    this.#tell({ name: 'error', error })
  }

  #do(effect: E | PeerEffect): void {
    const side = this.#side
    const known = effect as PeerEffect
    switch (known.do) {
      case 'transmit':
        side.writeNumbered(known.number, known.text)
        return
      case 'deliver':
        this.#deliver(known)
        return
      case 'send':
        side.write(known.frame)
        return
      case 'sendAck':
        if (this.state.ack === 0) side.endOfTurn(this.#endTurn)
        this.state.ack = known.rx
        return
      case 'delivered':
        side.counts.acked += 1
        this.#receipts?.arrive(known.seq)
        if (side.hearsDelivered) this.#tell({ name: 'delivered', seq: known.seq })
        return
      case 'store':
        this.writer?.push(known.write)
        return
      case 'accepted':
        if (known.seq > this.state.recordedSeq) this.state.recordedSeq = known.seq
        this.#receipts?.accept(known.seq)
        return
      case 'volatile':
        try {
          side.volatile(known.stream, known.payload)
        } catch (error) {
          this.report(error)
        }
        return
      case 'dropped':
      case 'setAside':
        side.counts.dropped += 1
        this.#onceRecorded(known as unknown as E)
        return
      case 'ready':
        this.#ready?.resolve()
        this.#ready = undefined
        this.#tell({ name: 'drain' })
        return
      case 'handlerTimedOut':
        this.report(this.#timedOut(known.number))
        return
      case 'sendPong':
        this.#answerer.pong(known.at)
        return
      case 'sendFlushed':
        this.#answerer.flushed(known.stream)
        return
      case 'pong':
        side.pong(known.at)
        return
      case 'flush':
        this.#tell({ name: 'flush', stream: known.stream })
        return
      default: {
        const own = effect as Exclude<E, PeerEffect>
        // What was to be said before the end of the turn would come too late.
        if (own.do === 'hangUp') this.#sendAck()
        side.carryOut(own)
        if (own.do === 'lost' || own.do === 'ended') this.#onceRecorded(own)
      }
    }
  }

  #deliver(message: Delivery): void {
    const { peer } = this.machine
    const { sid, number } = message
    let result: unknown
    try {
      result = this.#side.handle(message)
    } catch (error) {
      this.report(error)
    }
    if (!isThenable(result)) {
      peer.settled(sid, number, this.#side.now())
      return
    }
    const settled = () => {
      peer.settled(sid, number, this.#side.now())
      this.carryOut()
    }
    Promise.resolve(result).then(settled, (error) => {
      this.report(error)
      settled()
    })
  }

  #timedOut(number: number): TimeoutError {
    const { handlerTimeout: timeoutMs } = this.#side
    const id = `${this.machine.peer.state.sid}/${number}`
    const message = `timeout: the handler of message ${id} took longer than ${timeoutMs} ms: it counts as handled`
    return new TimeoutError(message, { phase: 'deadline', timeoutMs })
  }

  #sendAck(): void {
    const { ack } = this.state
    this.state.ack = 0
    if (ack > 0) this.#side.write(encodeAck(ack))
  }

  get #answerer(): PendingAnswers {
    this.#answers ??= new PendingAnswers(this.#side)
    return this.#answers
  }

  // What is told, and when.

  #tell(news: SessionNews): void {
    this.events.add(() => this.#side.tell(news))
  }

  /** Tells what became of messages, not before what led to it is recorded. */
  #onceRecorded(effect: E): void {
    if (this.writer?.busy) this.state.held.push({ at: this.writer.state.pushed, effect })
    else this.#conclude(effect)
  }

  /** Tells what was held back and is recorded by now. */
  #release(): void {
    const { held } = this.state
    const { writer } = this
    const recorded = writer?.busy ? writer.state.recorded : Infinity
    while (held.length > 0 && (held[0] as { at: number }).at <= recorded)
      this.#conclude((held.shift() as { effect: E }).effect)
  }

  #conclude(effect: E | PeerEffect): void {
    const known = effect as PeerEffect | EndEffect
    switch (known.do) {
      case 'dropped': {
        const { entry, reason } = known
        const message = `message ${this.idOf(entry.seq)} was dropped: ${reason}`
        this.receipts.fail(entry.seq, 'DROPPED', message, entry.seq === this.state.refusedSeq)
        this.#tell({ name: 'dropped', entry, reason })
        return
      }
      case 'setAside': {
        const { entry } = known
        const message = `the connection was closed over its size: message ${this.idOf(entry.seq)} (${entry.bytes} bytes) is set aside`
        this.receipts.fail(entry.seq, 'SESSION_LOST', message, false)
        this.#tell({ name: 'dropped', entry, reason: 'refused' })
        this.report(new CommsError(message, { code: 'PROTOCOL' }))
        return
      }
      case 'lost':
      case 'ended':
        this.#side.onEnd(effect as Extract<E, EndEffect>)
    }
  }

  /** Whether message `seq` is not known to be recorded. */
  isUnrecorded(seq: number): boolean {
    return this.writer !== undefined && seq > this.state.recordedSeq
  }

  // What became of the records.

  schedule(writer: StoreWriter, late: boolean): void {
    this.#side.schedule(writer, late)
  }

  write(writes: readonly SessionWrite[], held: number): Written {
    return this.#side.save(writes, held)
  }

  onStored(write: SessionWrite): void {
    if (write.kind !== 'took') this.machine.stored(write, this.#side.now())
    this.#release()
    this.carryOut()
  }

  onStale(): void {
    this.#side.stale()
  }

  onFailed(error: unknown): void {
    this.#side.storeFailed(error)
  }

  onIdle(): void {
    this.#release()
    this.#side.storeIdle()
  }
}

/** Whether an effect that is held back tells what became of message `seq`. */
function concerns(effect: unknown, seq: number): boolean {
  const held = effect as
    | PeerEffect
    | { do: 'lost'; doubtful: Entry[] }
    | { do: 'ended'; undelivered: Entry[] }
  switch (held.do) {
    case 'dropped':
    case 'setAside':
      return held.entry.seq === seq
    case 'lost':
      return held.doubtful.some((entry) => entry.seq === seq)
    case 'ended':
      return held.undelivered.some((entry) => entry.seq === seq)
    default:
      return false
  }
}
