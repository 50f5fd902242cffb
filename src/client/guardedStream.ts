// A response stream on its way to its reader: ends when the caller aborts, when the server falls silent, when the client goes.

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
}

/** Wraps `source`; errors of its stream are those of the library. */
export class GuardedStream implements Live {
  readonly stream: ReadableStream<Uint8Array>
  place = 0
  readonly #core: ClientCore
  readonly #options: GuardOptions
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #release: (() => void) | undefined
  #output!: ReadableStreamDefaultController<Uint8Array>
  #idle: Deadline | undefined
  #total: Deadline | undefined
  #over = false

  constructor(source: ReadableStream<Uint8Array>, core: ClientCore, options: GuardOptions) {
    this.#core = core
    this.#options = options
    this.#reader = source.getReader()
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#output = controller
        },
        pull: () => this.#pull(),
        cancel: (reason) => {
          this.#close()
          return this.#reader.cancel(reason)
        },
      },
      { highWaterMark: 0 },
    )
    core.live.add(this)
    const { signal, deadlineAt } = options
    if (deadlineAt !== Number.POSITIVE_INFINITY) {
      const leftMs = Math.max(0, deadlineAt - core.settings.clock.now())
      this.#total = core.tools.deadlines.set(leftMs, () => this.end(this.#timeoutError('deadline', leftMs)))
    }
    if (signal) {
      this.#release = onAbort(signal, () => {
        this.end(
          new AbortError('aborted by the caller', { cause: signal.reason, attempts: options.attempts }),
        )
      })
      // It may have aborted before there was a release to call.
      if (this.#over) this.#release()
    }
  }

  /** Fails the stream. */
  end(error: unknown): void {
    if (this.#over) return
    this.#close()
    this.#output.error(error)
    // Not waited for: a source that hangs must not hold up the error.
    this.#reader.cancel(error).catch(() => {})
  }

  async #pull(): Promise<void> {
    const { idleTimeoutMs } = this.#options
    if (idleTimeoutMs !== Number.POSITIVE_INFINITY) {
      this.#idle = this.#core.tools.deadlines.set(idleTimeoutMs, () =>
        this.end(this.#timeoutError('idle', idleTimeoutMs)),
      )
    }
    try {
      const { done, value } = await this.#reader.read()
      if (this.#over) return
      if (this.#idle) this.#core.tools.deadlines.cancel(this.#idle)
      if (done) {
        this.#close()
        this.#output.close()
      } else {
        this.#output.enqueue(value)
      }
    } catch (error) {
      this.end(error)
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

  /** Lets go of everything that would outlive the stream. */
  #close(): void {
    this.#over = true
    if (this.#idle) this.#core.tools.deadlines.cancel(this.#idle)
    if (this.#total) this.#core.tools.deadlines.cancel(this.#total)
    this.#release?.()
    this.#core.live.delete(this)
  }
}
