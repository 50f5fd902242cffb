// The producer of one reply: appends to its log, keeps its lease, and hears when somebody stops
// it.

import type { Clock, TimerHandle } from '../core/clock.ts'
import { CommsError } from '../core/errors.ts'
import type { AppendResult } from './appendStep.ts'
import type { Logs } from './Logs.ts'
import type { LogHead, ProducerRequest, ReplyState } from './log.ts'
import { contentOf, type ReplyFailure, type ReplyMessage } from './replyMessages.ts'

export interface WriterContext {
  readonly logs: Logs
  readonly clock: Clock
  /** How long it may say nothing before it is taken for dead, in milliseconds. */
  readonly leaseMs: number
  readonly onError: (error: unknown) => void
  /** Those that have not ended. */
  readonly live: Set<ReplyWriter>
}

/** A lease is renewed when a third of it is over: one renewal may fail. */
const RENEW_SHARE = 1 / 3

export class ReplyWriter {
  /** Of the reply, for its readers. */
  readonly id: string
  readonly #context: WriterContext
  readonly #head: LogHead
  readonly #epoch: number
  readonly #stopped = new AbortController()
  readonly #unwatch: () => void
  #timer: TimerHandle
  #seq: number
  /** One append after the other: their order is that of the calls. */
  #tail: Promise<unknown> = Promise.resolve()
  #over = false

  /** @param seq of the first append: that which took it over was 0 */
  constructor(id: string, head: LogHead, epoch: number, context: WriterContext, seq = 0) {
    this.id = id
    this.#head = head
    this.#epoch = epoch
    this.#seq = seq
    this.#context = context
    this.#unwatch = context.logs.watch(head.path, () => void this.#look())
    context.live.add(this)
    this.#planRenewal()
  }

  /** Aborts when a reader stops the reply, another producer takes over, or the reply is gone. */
  get signal(): AbortSignal {
    return this.#stopped.signal
  }

  /**
   * Adds text. Resolves when it is kept: waiting for that is the backpressure.
   * @throws CommsError `CANCELLED` when the reply was stopped or taken over, `QUEUE_FULL` when it
   * is as large as it may be, `STORAGE` when the store fails
   */
  write(text: string): Promise<void> {
    return text === '' ? this.#tail.then(() => {}) : this.#append({ text })
  }

  /** Adds a part of the app's own kind: whatever JSON can say. Resolves and throws as `write`. */
  writePart(part: unknown): Promise<void> {
    return this.#append({ part })
  }

  /**
   * Adds all that a source gives, then ends the reply: `complete`, or `failed` when the source
   * throws. When the reply is stopped, the source is told to end (`return()`, or `cancel()` of a
   * stream).
   * @returns how the reply ended; never rejects for what the source or a reader did
   * @throws CommsError as `write`, but for `CANCELLED`
   */
  async pipe(source: AsyncIterable<unknown> | ReadableStream<unknown>): Promise<ReplyState> {
    try {
      for await (const item of untilAborted(source, this.signal)) {
        await (typeof item === 'string' ? this.write(item) : this.writePart(item))
      }
    } catch (error) {
      if (this.signal.aborted) return this.#state()
      if ((error as { code?: unknown } | null)?.code === 'STORAGE') throw error
      await this.fail(error)
      return 'failed'
    }
    if (this.signal.aborted) return this.#state()
    await this.complete()
    return 'complete'
  }

  /** Nothing more follows. */
  complete(): Promise<void> {
    return this.#finish({ state: 'complete' })
  }

  /** It cannot go on: readers see the code and the message, nothing else of the error. */
  fail(error: unknown): Promise<void> {
    return this.#finish({ state: 'failed', error: failureOf(error) })
  }

  /**
   * Lets go without an end: readers hear of `interrupted` when the lease runs out. For processes
   * that have to leave at once.
   */
  abandon(): void {
    this.#leave()
  }

  async #finish(message: ReplyMessage & { state: ReplyState }): Promise<void> {
    await this.#append(message, true)
    this.#leave()
  }

  #append(message: ReplyMessage, close = false): Promise<void> {
    const done = this.#tail.then(() => this.#appendNow(message, close))
    // What failed is told to whoever asked for it, not to who comes next.
    this.#tail = done.catch(() => {})
    return done
  }

  async #appendNow(message: ReplyMessage, close: boolean): Promise<void> {
    if (this.#over) throw this.#error()
    const { logs, clock, leaseMs } = this.#context
    const { path, contentType } = this.#head
    const producer: ProducerRequest = { id: PRODUCER, epoch: this.#epoch, seq: this.#seq }
    const result = await logs.append(path, {
      contentType,
      content: contentOf(message),
      malformed: undefined,
      close,
      state: 'state' in message ? message.state : undefined,
      leaseUntil: clock.wallNow() + leaseMs,
      seq: undefined,
      producer,
    })
    this.#seq += 1
    if (result.kind === 'appended' || result.kind === 'duplicate') return
    if (result.kind === 'full')
      throw new CommsError('the reply is as large as it may be', { code: 'QUEUE_FULL' })
    this.#stop(reasonOf(result))
    throw this.#error()
  }

  async #look(): Promise<void> {
    try {
      const head = await this.#context.logs.find(this.#head.path)
      if (this.#over) return
      if (typeof head === 'string' || head.id !== this.#head.id) this.#stop('the reply is gone')
      else if (head.closed) this.#stop(`the reply was ${head.state}`)
      else if ((head.producers[PRODUCER]?.epoch ?? 0) > this.#epoch) this.#stop(TAKEN_OVER)
    } catch (error) {
      this.#context.onError(error)
    }
  }

  #planRenewal(): void {
    const { clock, leaseMs } = this.#context
    this.#timer = clock.setTimeout(() => void this.#renew(), leaseMs * RENEW_SHARE, true)
  }

  async #renew(): Promise<void> {
    const { logs, clock, leaseMs, onError } = this.#context
    try {
      const head = await logs.renew(this.#head.path, this.#head.id, clock.wallNow() + leaseMs)
      if (!head || head.closed) await this.#look()
    } catch (error) {
      onError(error)
    }
    if (!this.#over) this.#planRenewal()
  }

  async #state(): Promise<ReplyState> {
    const head = await this.#context.logs.find(this.#head.path)
    return typeof head === 'string' ? 'stopped' : head.state
  }

  #stop(reason: string): void {
    if (this.#over) return
    this.#leave()
    this.#stopped.abort(new CommsError(reason, { code: 'CANCELLED' }))
  }

  #leave(): void {
    this.#over = true
    this.#context.live.delete(this)
    this.#unwatch()
    this.#context.clock.clearTimeout(this.#timer)
  }

  #error(): unknown {
    return this.signal.aborted
      ? this.signal.reason
      : new CommsError('the reply has ended: nothing more can be written', { code: 'CANCELLED' })
  }
}

/**
 * The name under which a reply's producers number what they write; each of them has an epoch of
 * its own.
 */
export const PRODUCER = 'reply'
const TAKEN_OVER = 'another producer has taken over the reply'

function reasonOf(result: AppendResult): string {
  switch (result.kind) {
    case 'closed':
      return `the reply was ${result.head.state}`
    case 'staleProducer':
      return TAKEN_OVER
    default:
      return 'the reply is gone'
  }
}

function failureOf(error: unknown): ReplyFailure {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  return {
    code: typeof code === 'string' ? code : 'REMOTE',
    message: typeof message === 'string' ? message : 'the producer failed',
  }
}

/**
 * The items of a source until the signal aborts; then the source is told to end, and a pending
 * item is not waited for.
 */
async function* untilAborted(
  source: AsyncIterable<unknown> | ReadableStream<unknown>,
  signal: AbortSignal,
): AsyncGenerator<unknown, void, undefined> {
  const { next, end } = itemsOf(source)
  const aborted = Promise.withResolvers<'aborted'>()
  const onAbort = () => aborted.resolve('aborted')
  signal.addEventListener('abort', onAbort)
  if (signal.aborted) onAbort()
  try {
    for (;;) {
      const item = await Promise.race([next(), aborted.promise])
      if (item === 'aborted' || item.done) return
      yield item.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    // A source that does not end when it is asked to holds up nobody.
    void Promise.resolve(end()).catch(() => {})
  }
}

interface Items {
  readonly next: () => PromiseLike<{ readonly done?: boolean | undefined; readonly value?: unknown }>
  readonly end: () => unknown
}

function itemsOf(source: AsyncIterable<unknown> | ReadableStream<unknown>): Items {
  if ('getReader' in source) {
    // The iterator of a stream would end it only after the item that it waits for.
    const reader = source.getReader()
    return { next: () => reader.read(), end: () => reader.cancel() }
  }
  const iterator = source[Symbol.asyncIterator]()
  return { next: () => iterator.next(), end: () => iterator.return?.() }
}
