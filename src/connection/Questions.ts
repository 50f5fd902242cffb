// Questions that wait for their answers: which message belongs to which, and what ends one early.
// Knows messages and times; sending, stopping and listening are its host's.

import { onAbort } from '../core/abort.ts'
import type { Clock, TimerHandle } from '../core/clock.ts'
import { AbortError, CommsError, TimeoutError } from '../core/errors.ts'
import { type Reply, ReplyBuffer } from './Reply.ts'
import type { Receipt } from './receipt.ts'

/** What the assistant says, as it travels: a piece of the answer to `request_id`. */
export interface AssistantMessage {
  role: 'assistant'
  type: 'message'
  request_id: string
  content: string
  start?: boolean
  end?: boolean
  state?: string
  /** With `end`: the assistant failed, what came is not the whole answer. */
  error?: boolean
}

/** How a backend refuses a question: it ends without an answer. */
interface Refusal {
  type: 'error'
  request_id: string
  message: string
}

/** What it needs of the line. */
export interface QuestionHost {
  /** Whether the line is open at this moment. */
  isOpen(): boolean
  /** Asks the other side to say no more about this question. */
  stop(id: string): void
  /** Whether messages have to be handed to `onMessage`: only while somebody waits. */
  listen(wanted: boolean): void
}

interface Question {
  readonly reply: ReplyBuffer
  readonly receipt: Receipt
  readonly timeoutMs: number
  /** It has left this machine: if the line is lost now, nobody knows what became of it. */
  sent: boolean
  /** When something was last heard of it. */
  heardAt: number
  stopListening: (() => void) | undefined
}

export class Questions {
  readonly #host: QuestionHost
  readonly #clock: Clock
  readonly #waiting = new Map<string, Question>()
  #watch: TimerHandle | undefined

  constructor(host: QuestionHost, clock: Clock) {
    this.#host = host
    this.#clock = clock
  }

  has(id: string): boolean {
    return this.#waiting.has(id)
  }

  /**
   * Waits for the answer to a question.
   * @param send sends it; not called when `signal` has aborted already
   * @param timeoutMs the longest silence, counted while the line is open
   */
  ask(id: string, send: () => Receipt, timeoutMs: number, signal: AbortSignal | undefined): Reply {
    const reply = new ReplyBuffer(id, () => this.#stop(id))
    const abort = () => {
      reply.end({ error: new AbortError('ask: aborted by the caller', { cause: signal?.reason }) })
      this.#stop(id)
    }
    if (signal?.aborted) {
      abort()
      return reply
    }
    const question: Question = {
      reply,
      receipt: send(),
      timeoutMs,
      sent: this.#host.isOpen(),
      heardAt: this.#clock.now(),
      stopListening: undefined,
    }
    if (this.#waiting.size === 0) this.#host.listen(true)
    this.#waiting.set(id, question)
    if (signal) question.stopListening = onAbort(signal, abort)
    this.#watchSilence()
    return reply
  }

  onMessage(message: unknown): void {
    if (typeof message !== 'object' || message === null) return
    const { type, request_id, content, end, error } = message as Partial<
      Omit<AssistantMessage, 'type'> & Refusal & { type: string }
    >
    const question = request_id === undefined ? undefined : this.#waiting.get(request_id)
    if (!question) return
    question.heardAt = this.#clock.now()
    if (typeof content === 'string') question.reply.push(content)
    if (type === 'error') {
      const reason = (message as Partial<Refusal>).message
      this.#finish(
        question.reply.id,
        new CommsError(`the backend refused the question: ${reason}`, { code: 'REMOTE' }),
      )
    } else if (end === true) {
      const failed =
        error === true
          ? new CommsError('the assistant failed before the reply ended', { code: 'REMOTE' })
          : undefined
      this.#finish(question.reply.id, failed)
    }
  }

  /** The line is open: what was queued is on its way. */
  onOpen(): void {
    const now = this.#clock.now()
    for (const question of this.#waiting.values()) {
      question.sent = true
      question.heardAt = now
    }
  }

  /** The line was lost. A question that was under way is not asked again: it might be answered twice. */
  onLost(): void {
    this.#fail(
      ({ sent }) => sent,
      'CONNECTION',
      'the line was lost before the reply ended; ask again if it may be answered twice',
    )
  }

  /** Nobody tries to connect any more: what waits would wait for ever. */
  onGivenUp(): void {
    for (const { receipt } of this.#waiting.values()) receipt.cancel()
    this.#fail(() => true, 'CONNECTION', 'the line was given up before the question was sent')
  }

  /** The message with this receipt left the queue unsent. */
  onDropped(receiptId: string, reason: string): void {
    this.#fail(
      ({ receipt }) => receipt.id === receiptId,
      'DROPPED',
      `the question was dropped before it was sent (${reason})`,
    )
  }

  dispose(): void {
    this.#fail(() => true, 'DISPOSED', 'the endpoint was disposed of before the reply ended')
  }

  #fail(
    concerns: (question: Question) => boolean,
    code: 'CONNECTION' | 'DROPPED' | 'DISPOSED',
    message: string,
  ): void {
    for (const [id, question] of [...this.#waiting]) {
      if (concerns(question)) this.#finish(id, new CommsError(message, { code }))
    }
  }

  #stop(id: string): void {
    const question = this.#waiting.get(id)
    if (!question) return
    this.#finish(id)
    if (!question.receipt.cancel() && this.#host.isOpen()) this.#host.stop(id)
  }

  #finish(id: string, error?: CommsError): void {
    const question = this.#waiting.get(id)
    if (!question) return
    this.#waiting.delete(id)
    question.stopListening?.()
    question.reply.end(error ? { error } : {})
    if (this.#waiting.size > 0) return
    this.#host.listen(false)
    this.#unwatch()
  }

  /** One timer looks after the silences of all, and wakes for the earliest. */
  #watchSilence(): void {
    this.#unwatch()
    let earliest = Number.POSITIVE_INFINITY
    for (const { heardAt, timeoutMs } of this.#waiting.values())
      earliest = Math.min(earliest, heardAt + timeoutMs)
    if (earliest === Number.POSITIVE_INFINITY) return
    this.#watch = this.#clock.setTimeout(
      () => this.#onSilence(),
      Math.max(1, earliest - this.#clock.now()),
      true,
    )
  }

  #unwatch(): void {
    if (this.#watch !== undefined) this.#clock.clearTimeout(this.#watch)
    this.#watch = undefined
  }

  #onSilence(): void {
    const now = this.#clock.now()
    const open = this.#host.isOpen()
    for (const [id, question] of [...this.#waiting]) {
      const { timeoutMs } = question
      if (!open) question.heardAt = now
      if (now - question.heardAt < timeoutMs) continue
      const message = `timeout: nothing was heard of the reply for ${timeoutMs} ms`
      this.#finish(id, new TimeoutError(message, { phase: 'idle', timeoutMs }))
      if (open) this.#host.stop(id)
    }
    this.#watchSilence()
  }
}
