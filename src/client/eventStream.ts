// A response as a stream of events: reads while somebody asks for the next one, so that a slow reader slows the server
// down; asks again when it may, for as long as there is hope.

import {
  ApiError,
  abortedBy,
  CircuitBreakerError,
  NetworkError,
  RateLimitError,
  TimeoutError,
} from '../core/errors.ts'
import { sleep } from '../core/sleep.ts'
import { isCertificateError } from '../http/classify.ts'
import type { StreamDecoder } from '../http/serverSentEvents.ts'
import type { Deadline } from '../policies/timeout/Deadlines.ts'
import type { ClientCore } from './core.ts'

/** One opening of the stream. */
export interface OpenedStream<T> {
  /** `undefined` when the server says that there is nothing more (204). */
  readonly body: ReadableStream<Uint8Array> | undefined
  readonly decoder: StreamDecoder<T>
  /** For errors, secrets replaced. */
  readonly url: string
}

export interface EventStreamOptions<T> {
  /** Opens the stream, for the first time or again. */
  readonly open: () => Promise<OpenedStream<T>>
  /** Openings that may fail in a row before the last failure is reported; `undefined` when it is opened once only. */
  readonly maxFailedOpenings: number | undefined
  /** Milliseconds that the server wants to pass before it is asked again. */
  readonly retryMs: () => number | undefined
  /** Milliseconds between two events, while one is waited for. */
  readonly eventTimeoutMs: number
  /** When all of it must be over, on the client's clock. */
  readonly deadlineAt: number
  readonly signal: AbortSignal
}

/** Events until the server ends the stream; with reopenings, until it says so (204) or no opening succeeds any more. */
export async function* readEventStream<T>(
  core: ClientCore,
  options: EventStreamOptions<T>,
): AsyncGenerator<T, void, undefined> {
  const { maxFailedOpenings, deadlineAt, signal } = options
  let failedOpenings = 0
  /** Openings since the last event: one after another that brings nothing is asked for ever more slowly. */
  let fruitless = 0
  for (;;) {
    let failure: unknown
    let isOpen = false
    try {
      const opened = await options.open()
      isOpen = true
      failedOpenings = 0
      if (!opened.body) return
      for await (const item of readItems(core, options, opened, opened.body)) {
        fruitless = 0
        yield item
      }
      if (maxFailedOpenings === undefined) return
    } catch (error) {
      if (!isOpen) failedOpenings += 1
      if (maxFailedOpenings === undefined || failedOpenings > maxFailedOpenings || !mayPass(core, error))
        throw error
      failure = error
    }
    fruitless += 1
    const { clock, unref } = core.settings
    const askedMs = (failure as { retryAfter?: number } | undefined)?.retryAfter ?? 0
    const delayMs = Math.max(options.retryMs() ?? 0, askedMs, core.backoffMs(fruitless))
    if (clock.now() + delayMs >= deadlineAt) {
      if (failure === undefined) return
      throw failure
    }
    await sleep(clock, delayMs, signal, () => abortedBy(signal), unref)
  }
}

/** Whether the next opening may go better: nobody there, a server or a limit that asks to wait. */
function mayPass({ settings }: ClientCore, error: unknown): boolean {
  if (error instanceof ApiError) return settings.retryStatusCodes.includes(error.status)
  return (
    (error instanceof NetworkError && !isCertificateError(error)) ||
    error instanceof TimeoutError ||
    error instanceof CircuitBreakerError ||
    error instanceof RateLimitError
  )
}

async function* readItems<T>(
  core: ClientCore,
  { eventTimeoutMs }: EventStreamOptions<T>,
  { decoder, url }: OpenedStream<T>,
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<T, void, undefined> {
  const reader = body.getReader()
  // The decoder of the format drops the byte order mark: of two, the second is text.
  const text = new TextDecoder('utf-8', { ignoreBOM: true })
  let silence: Deadline | undefined
  let failure: TimeoutError | undefined
  const fallSilent = () => {
    failure = new TimeoutError(`timeout: ${url}: no event came for ${eventTimeoutMs} ms`, {
      url,
      phase: 'idle',
      timeoutMs: eventTimeoutMs,
    })
    reader.cancel(failure).catch(() => {})
  }
  try {
    for (let done = false; ; ) {
      for (let next = decoder.take(); next; next = decoder.take()) {
        if (silence) core.tools.deadlines.cancel(silence)
        silence = undefined
        yield next.item
      }
      if (done) return
      // Runs from one event to the next, while one is waited for: the reader's own time does not count.
      if (eventTimeoutMs !== Number.POSITIVE_INFINITY)
        silence ??= core.tools.deadlines.set(eventTimeoutMs, fallSilent)
      const chunk = await reader.read()
      if (failure) throw failure
      done = chunk.done
      decoder.feed(text.decode(chunk.value, { stream: !done }))
      if (done) decoder.finish()
    }
  } finally {
    if (silence) core.tools.deadlines.cancel(silence)
    // Whoever leaves early leaves the connection: the server need not go on. Not waited for, it may hang.
    reader.cancel().catch(() => {})
  }
}
