// A response stream on its way to its reader: ends when the caller aborts, when the server falls silent, when the client goes, and
// when nobody can read it any more.

import { onAbort } from '../core/abort.ts'
import { AbortError, TimeoutError } from '../core/errors.ts'
import type { Deadline } from '../policies/timeout/Deadlines.ts'
import type { ClientCore, Live } from './core.ts'

export interface GuardOptions {
  /** Milliseconds a read may wait. Time that the reader itself takes does not count. */
  readonly idleTimeoutMs: number
  /** When the whole call must be over, on the client's clock. */
  readonly deadlineAt: number
  readonly signal: AbortSignal | undefined
  /** For errors, secrets replaced. */
  readonly url: string
  readonly attempts: number
  /** What the reader is told in place of our errors. */
  readonly translate?: ((error: unknown) => unknown) | undefined
}

/** `source`, guarded, as a stream of bytes that can be read into memory of the reader's, too. */
export function guardStream(
  source: ReadableStream<Uint8Array>,
  core: ClientCore,
  options: GuardOptions,
): ReadableStream<Uint8Array> {
  const guard = new Guard(source, core, options)
  const stream = new ReadableStream({
    type: 'bytes',
    start: (controller) => guard.open(controller),
    pull: (controller) => guard.pull(controller),
    cancel: (reason) => guard.cancel(reason),
  })
  // It refers to the guard, never the other way round: one that nobody holds any more is collected, and its connection let go.
  unread.register(stream, guard, guard)
  return stream
}

const unread = new FinalizationRegistry<Guard>((guard) => {
  guard.cancel(new Error('the body of the response was never read')).catch(() => {})
})

class Guard implements Live {
  place = 0
  readonly #core: ClientCore
  readonly #options: GuardOptions
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  #release: (() => void) | undefined
  #output!: WeakRef<ReadableByteStreamController>
  #idle: Deadline | undefined
  #total: Deadline | undefined
  #over = false

  constructor(source: ReadableStream<Uint8Array>, core: ClientCore, options: GuardOptions) {
    this.#core = core
    this.#options = options
    this.#reader = source.getReader()
  }

  open(controller: ReadableByteStreamController): void {
    const core = this.#core
    this.#output = new WeakRef(controller)
    core.live.add(this)
    const { signal, deadlineAt, attempts } = this.#options
    if (deadlineAt !== Number.POSITIVE_INFINITY) {
      const leftMs = Math.max(0, deadlineAt - core.settings.clock.now())
      this.#total = core.tools.deadlines.set(leftMs, () => this.end(this.#timeoutError('deadline', leftMs)))
    }
    if (signal) {
      this.#release = onAbort(signal, () => {
        this.end(new AbortError('aborted by the caller', { cause: signal.reason, attempts }))
      })
      // It may have aborted before there was a release to call.
      if (this.#over) this.#release()
    }
  }

  /** Fails the stream. */
  end(error: unknown): void {
    if (this.#over) return
    this.#close()
    const { translate } = this.#options
    this.#output.deref()?.error(translate ? translate(error) : error)
    // Not waited for: a source that hangs must not hold up the error.
    this.#reader.cancel(error).catch(() => {})
  }

  cancel(reason: unknown): Promise<void> {
    this.#close()
    return this.#reader.cancel(reason)
  }

  async pull(output: ReadableByteStreamController): Promise<void> {
    const { idleTimeoutMs } = this.#options
    if (idleTimeoutMs !== Number.POSITIVE_INFINITY) {
      this.#idle = this.#core.tools.deadlines.set(idleTimeoutMs, () =>
        this.end(this.#timeoutError('idle', idleTimeoutMs)),
      )
    }
    try {
      const { done, value } = await this.#chunk()
      if (this.#over) return
      if (this.#idle) this.#core.tools.deadlines.cancel(this.#idle)
      if (done) {
        this.#close()
        output.close()
        output.byobRequest?.respond(0)
      } else {
        // A stream of bytes takes the memory of its chunks away from whoever else has it: of other requests, perhaps.
        output.enqueue(new Uint8Array(value))
      }
    } catch (error) {
      this.end(error)
    }
  }

  /** The next that holds anything: streams of bytes know no empty chunk. */
  async #chunk(): Promise<ReadableStreamReadResult<Uint8Array>> {
    for (;;) {
      const result = await this.#reader.read()
      if (result.done || result.value.byteLength > 0) return result
    }
  }

  #timeoutError(phase: 'idle' | 'deadline', timeoutMs: number): TimeoutError {
    const { url, attempts } = this.#options
    const what = phase === 'idle' ? `nothing came for ${timeoutMs} ms` : 'the deadline of the call has passed'
    return new TimeoutError(`timeout: ${url}: ${what}`, {
      url,
      phase,
      timeoutMs: Math.round(timeoutMs),
      attempts,
    })
  }

  /** Releases everything that would outlive the stream. */
  #close(): void {
    this.#over = true
    unread.unregister(this)
    if (this.#idle) this.#core.tools.deadlines.cancel(this.#idle)
    if (this.#total) this.#core.tools.deadlines.cancel(this.#total)
    this.#release?.()
    this.#core.live.delete(this)
  }
}
