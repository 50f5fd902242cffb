// Questions that wait for their answers: which message belongs to which, and what ends one early.
// Knows messages and times; how they travel is the line's.

import { onAbort } from '../core/abort.ts'
import type { Clock, TimerHandle } from '../core/clock.ts'
import { AbortError, type ErrorCode, ReplyError, TimeoutError } from '../core/errors.ts'
import type { Receipt } from '../session/receipts.ts'
import type { LostSession } from './events.ts'
import { type Reply, ReplyBuffer } from './Reply.ts'
import type { CloseInfo } from './reconnect.ts'

/** What the assistant says, as it travels: a piece of the answer to `request_id`. */
export interface AssistantMessage {
  role: 'assistant'
  type: 'message'
  request_id: string
  content: string
  start?: boolean
  end?: boolean
  state?: string
  /** Where the answer can be gone on with, behind this piece: of an answer that the backend keeps. */
  offset?: string
  /** With `end`: what came is not the whole answer. Other backends say `true`. */
  error?: boolean | { code: string; message: string }
}

/** What comes, as far as it has been looked at: a piece of an answer, or the refusal of a question. */
type Heard = Partial<Omit<AssistantMessage, 'type'> & { type: string; message: string; code: string }>

/** Why there is no whole answer, as the backend says. */
type Fault = { readonly code: string; readonly message: string }

/** What came as the reason; of another form it is put into words. */
function faultOf(came: unknown, unknown: string): Fault {
  const { code, message } = (came ?? {}) as Partial<Record<keyof Fault, unknown>>
  return {
    code: typeof code === 'string' ? code : unknown,
    message: typeof message === 'string' ? message : 'it gave no reason',
  }
}

function resumption(id: unknown, offset: string | undefined) {
  return { type: 'resume', id, ...(offset !== undefined && { offset }) }
}

/** What it needs of the line. */
export interface QuestionLine {
  readonly connected: boolean
  /** What is under way survives the end of the line: a session carries it. */
  readonly lossless: boolean
  on(name: string, listener: (event: never) => void): unknown
  stopRequest(id: string): unknown
  send(message: object): Receipt
}

interface Question {
  readonly reply: ReplyBuffer
  receipt: Receipt
  /** It has left this machine: if the line is lost now, nobody knows what became of it. */
  sent: boolean
  /** The backend keeps the answer: when the line is lost, it is gone on with from where it was. */
  kept: boolean
  /** When something was last heard of it. */
  heardAt: number
  timer: TimerHandle
  stopListening: (() => void) | undefined
}

export class Questions {
  readonly #line: QuestionLine
  readonly #clock: Clock
  readonly #waiting = new Map<unknown, Question>()

  constructor(line: QuestionLine, clock: Clock) {
    this.#line = line
    this.#clock = clock
    line.on('message', (message) => this.#onMessage(message))
    line.on('open', () => {
      for (const [id, question] of this.#waiting) {
        if (question.kept && question.sent && !line.lossless) this.#goOn(id, question)
        question.sent = true
        question.heardAt = clock.now()
      }
    })
    // A question that was under way is not asked again: it might be answered twice.
    const lost = 'the line was lost before the reply ended; ask again if it may be answered twice'
    let why = ''
    line.on('close', ({ reason }: CloseInfo) => {
      why = reason && `: ${reason}`
      this.#fail('CONNECTION', `${lost}${why}`, ({ sent, kept }) => sent && !kept && !line.lossless)
    })
    line.on('sessionLost', ({ inDoubt, resent }: LostSession) => {
      const asked = new Set(resent ? inDoubt.map(({ id }) => id) : [])
      for (const [id, question] of this.#waiting) if (question.kept) this.#goOn(id, question)
      const message = 'the session was lost before the reply ended; ask again if it may be answered twice'
      this.#fail(
        'SESSION_LOST',
        message,
        ({ sent, kept, receipt }) => sent && !kept && !asked.has(receipt.id),
      )
    })
    line.on('connectionState', (state: string) => {
      // A session outlives its lines, but not the wish to have none.
      if (state === 'closed')
        this.#fail('CONNECTION', 'the connection was closed before the reply ended', ({ sent }) => sent)
      if (state !== 'failed') return
      for (const { receipt } of this.#waiting.values()) receipt.cancel()
      this.#fail('CONNECTION', `the line was given up before the question was sent${why}`)
    })
    line.on('dropped', ({ id, reason }: { id: string; reason: string }) => {
      const message = `the question was dropped before it was sent (${reason})`
      this.#fail('DROPPED', message, ({ receipt }) => receipt.id === id)
    })
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
    return this.#wait(id, send, undefined, timeoutMs, signal)
  }

  /**
   * Waits for an answer that the backend keeps, or goes on with it.
   * @param offset from where on; `undefined` for all of it
   */
  resume(id: string, offset: string | undefined, timeoutMs: number, signal: AbortSignal | undefined): Reply {
    return this.#wait(id, () => this.#line.send(resumption(id, offset)), { offset }, timeoutMs, signal)
  }

  #wait(
    id: string,
    send: () => Receipt,
    resumed: { readonly offset: string | undefined } | undefined,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Reply {
    const reply = new ReplyBuffer(id, () => this.#stop(id), resumed?.offset)
    const abort = () => {
      reply.end(new AbortError('ask: aborted by the caller', { cause: signal?.reason }))
      this.#stop(id)
    }
    if (signal?.aborted) {
      abort()
      return reply
    }
    const question: Question = {
      reply,
      receipt: send(),
      sent: this.#line.connected,
      kept: resumed !== undefined,
      heardAt: this.#clock.now(),
      timer: undefined,
      stopListening: undefined,
    }
    this.#waiting.set(id, question)
    if (signal) question.stopListening = onAbort(signal, abort)
    this.#watch(question, timeoutMs)
    return reply
  }

  dispose(): void {
    this.#fail('DISPOSED', 'the endpoint was disposed of before the reply ended')
  }

  #onMessage(message: Heard | null): void {
    const id = message?.request_id
    const question = this.#waiting.get(id)
    if (!message || !question) return
    const { type, content, start, end, error, offset } = message
    question.heardAt = this.#clock.now()
    if (start) question.reply.start()
    if (typeof content === 'string') question.reply.push(content)
    if (typeof offset === 'string') {
      question.kept = true
      question.reply.offset = offset
    }
    if (type === 'error') {
      const remote = faultOf(message, 'BAD_REQUEST')
      this.#finish(id, 'REMOTE', `the backend refused the question: ${remote.message}`, remote)
    } else if (end && error) {
      const remote = faultOf(error, 'FAILED')
      this.#finish(id, 'REMOTE', `the reply is not whole: ${remote.message}`, remote)
    } else if (end) this.#finish(id)
  }

  /** Asks for the rest of an answer that the backend keeps. */
  #goOn(id: unknown, question: Question): void {
    question.receipt = this.#line.send(resumption(id, question.reply.offset))
  }

  #fail(code: ErrorCode, message: string, concerns: (question: Question) => boolean = () => true): void {
    for (const [id, question] of this.#waiting) if (concerns(question)) this.#finish(id, code, message)
  }

  #stop(id: string): void {
    const question = this.#finish(id)
    if (!question || question.receipt.cancel()) return
    // In a session it waits for the line, like the answer that it ends.
    if (this.#line.connected || this.#line.lossless) this.#line.stopRequest(id)
  }

  /** It waits no longer: the reply has ended, or ends with an error. */
  #finish(id: unknown, code?: ErrorCode, message = '', remote?: Fault): Question | undefined {
    const question = this.#waiting.get(id)
    if (!question) return undefined
    this.#waiting.delete(id)
    this.#clock.clearTimeout(question.timer)
    question.stopListening?.()
    const { reply } = question
    reply.end(code && new ReplyError(message, { code, requestId: reply.id, text: reply.soFar, remote }))
    return question
  }

  /** Ends a question of which nothing has been heard for too long; else looks again when that may have come. */
  #watch(question: Question, timeoutMs: number): void {
    const now = this.#clock.now()
    if (!this.#line.connected) question.heardAt = now
    const leftMs = question.heardAt + timeoutMs - now
    if (leftMs > 0) {
      question.timer = this.#clock.setTimeout(() => this.#watch(question, timeoutMs), leftMs, true)
      return
    }
    const message = `timeout: nothing was heard of the reply for ${timeoutMs} ms`
    question.reply.end(new TimeoutError(message, { phase: 'idle', timeoutMs }))
    this.#stop(question.reply.id)
  }
}
