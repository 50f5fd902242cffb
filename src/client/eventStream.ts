// A response as a stream of events: reads while somebody asks for the next one, so that a slow reader slows the server
// down; notices silence by events, not bytes (comments keep a dead assistant's line warm); asks again when it may.

import { abortedBy, NetworkError, TimeoutError } from '../core/errors.ts'
import { sleep } from '../core/sleep.ts'
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
  /** Openings after the first that may fail in a row; 0 when it is not opened again at all. */
  readonly reopenings: number
  /** Milliseconds that the server wants to pass before it is asked again. */
  readonly retryMs: () => number | undefined
  readonly idleTimeoutMs: number
  /** When all of it must be over, on the client's clock. */
  readonly deadlineAt: number
  readonly signal: AbortSignal | undefined
}

/** Events until the server ends the stream; with reopenings, until it says so or they are used up. */
export async function* readEventStream<T>(
  core: ClientCore,
  options: EventStreamOptions<T>,
): AsyncGenerator<T, void, undefined> {
  let failures = 0
  let lastError: unknown
  for (;;) {
    try {
      const opened = await options.open()
      if (!opened.body) return
      for await (const item of readItems(core, options, opened, opened.body)) {
        failures = 0
        yield item
      }
      if (options.reopenings === 0) return
    } catch (error) {
      const broken = error instanceof NetworkError || error instanceof TimeoutError
      if (!broken || failures >= options.reopenings) throw error
      lastError = error
    }
    failures += 1
    const { clock, unref } = core.settings
    const delayMs = Math.max(options.retryMs() ?? 0, core.backoffMs(failures))
    if (clock.now() + delayMs >= options.deadlineAt) {
      if (lastError === undefined) return
      throw lastError
    }
    const { signal } = options
    await sleep(clock, delayMs, signal, () => abortedBy(signal), unref)
  }
}

async function* readItems<T>(
  core: ClientCore,
  { idleTimeoutMs }: EventStreamOptions<T>,
  { decoder, url }: OpenedStream<T>,
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<T, void, undefined> {
  const reader = body.getReader()
  const text = new TextDecoder()
  let silence: Deadline | undefined
  let failure: TimeoutError | undefined
  const fallSilent = () => {
    failure = new TimeoutError(`timeout: ${url}: no event came for ${idleTimeoutMs} ms`, {
      url,
      phase: 'idle',
      timeoutMs: idleTimeoutMs,
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
      if (idleTimeoutMs !== Number.POSITIVE_INFINITY)
        silence ??= core.tools.deadlines.set(idleTimeoutMs, fallSilent)
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
