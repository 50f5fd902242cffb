// One user's talk with the assistant: questions in turn, answers as deltas, stops. It knows no socket: what it says goes to
// `say`, which resolves when the other side can take more.

import type { Clock, TimerHandle } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import { RingBuffer } from '../core/ringBuffer.ts'
import {
  AnswerPiece,
  type Cut,
  cutReason,
  FAILED,
  faultOf,
  GOING_AWAY,
  QUEUE_FULL,
  TIMEOUT,
} from './answer.ts'
import { callNow, kindOf } from './guard.ts'
import { ITEM_COST } from './MemoryBudget.ts'
import type { Question, ReplyFault, ResponderContext, Turn } from './responder.ts'
import { untilAborted } from './untilAborted.ts'

/** A piece of an answer, as it travels. */
export interface ReplyDelta {
  role: 'assistant'
  type: 'message'
  request_id: string
  content: string
  /** The answer begins, from its first character: what came of it before does not count. */
  start?: true
  end?: true
  state?: 'thinking' | 'speaking' | 'idle'
  /** Where the answer can be gone on with, behind this piece: of an answer that is kept. */
  offset?: string
  /** With `end`: what came before is not the whole answer, or there is none. */
  error?: ReplyFault
}

export interface ConversationOptions {
  /** Gives the answer: text, or pieces of one that is kept. */
  readonly respond: (question: Question, context: ResponderContext) => AsyncIterable<string | AnswerPiece>
  /** Questions that may wait for their turn, and how long their texts and images may be together. */
  readonly maxQuestions: number
  readonly maxQuestionBytes: number
  /** The longest silence of the responder, in milliseconds. */
  readonly answerTimeout: number
  readonly clock: Clock
  readonly logger: Logger | undefined
  /** Hands a delta to the user; resolves when there is room for more. A rejection means that nobody listens any more. */
  readonly say: (delta: ReplyDelta) => Promise<void>
}

/** What the assistant is reminded of: turns, and characters in all of them. */
const HISTORY_TURNS = 40
const HISTORY_CHARACTERS = 200_000

/** A question in its turn. */
interface Asked {
  readonly question: Question
  /** Called when its answer has ended and the user has been told so, one way or another. */
  readonly onEnded: (() => void) | undefined
}

/** How a conversation is over: its user is told what became of the questions, or is not. */
export type ConversationEnd =
  /** The backend shuts down. */
  | 'shutdown'
  /** The user has gone; or another process answers, and is asked anew. */
  | 'silently'

export class Conversation {
  readonly #options: ConversationOptions
  readonly #waiting = new RingBuffer<Asked>()
  #waitingBytes = 0
  readonly #history: Turn[] = []
  #current: { readonly id: string; cut: Cut | undefined; readonly controller: AbortController } | undefined
  #running: Promise<void> = Promise.resolve()
  #over = false

  constructor(options: ConversationOptions) {
    this.#options = options
  }

  /** Answers being given or waiting. */
  get pending(): number {
    return this.#waiting.length + (this.#current ? 1 : 0)
  }

  /** What the questions that wait hold on to, in bytes. */
  get waitingBytes(): number {
    return this.#waitingBytes + this.#waiting.length * ITEM_COST
  }

  /** Whether it takes no more questions. */
  get over(): boolean {
    return this.#over
  }

  /** Takes a question, or says why not: then nothing more is heard of it from here. */
  ask(question: Question, onEnded?: () => void): ReplyFault | undefined {
    const { maxQuestions, maxQuestionBytes } = this.#options
    const bytes = bytesOf(question)
    if (this.#over) return GOING_AWAY
    if (this.#waiting.length >= maxQuestions) return QUEUE_FULL
    if (this.#waiting.length > 0 && this.#waitingBytes + bytes > maxQuestionBytes) return QUEUE_FULL
    this.#waiting.push({ question, onEnded })
    this.#waitingBytes += bytes
    if (!this.#current) this.#running = this.#run()
    return undefined
  }

  /** The user stops the answer to one question, or all: each ends with what has been said. Returns how many were stopped. */
  stop(id?: string): number {
    return this.#cutShort('stopped', id)
  }

  /** The questions that wait are told that there are too many; the answer that is given goes on. */
  refuseWaiting(): void {
    for (let asked = this.#takeWaiting(); asked; asked = this.#takeWaiting())
      void this.#sayEnd(asked, QUEUE_FULL).catch(() => {})
  }

  /** Takes no more questions; resolves when the last answer has ended. */
  async finish(): Promise<void> {
    this.#over = true
    await this.#running
  }

  /** Ends it now. */
  end(how: ConversationEnd): void {
    this.#over = true
    this.#cutShort(how === 'shutdown' ? GOING_AWAY : 'silently')
  }

  #cutShort(cut: Cut, id?: string): number {
    let ended = 0
    const current = this.#current
    if (current && current.cut === undefined && (id === undefined || current.id === id)) {
      current.cut = cut
      current.controller.abort(cutReason(cut))
      ended += 1
    }
    for (
      let asked = this.#takeWaiting(id);
      asked;
      asked = id === undefined ? this.#takeWaiting(id) : undefined
    ) {
      // Whoever waits for its answer has to hear that there is none.
      if (cut !== 'silently') void this.#sayEnd(asked, cut).catch(() => {})
      ended += 1
    }
    return ended
  }

  #takeWaiting(id?: string): Asked | undefined {
    const asked =
      id === undefined ? this.#waiting.shift() : this.#waiting.remove(({ question }) => question.id === id)
    if (asked) this.#waitingBytes -= bytesOf(asked.question)
    return asked
  }

  async #run(): Promise<void> {
    for (let asked = this.#takeWaiting(); asked; asked = this.#takeWaiting()) {
      try {
        await this.#answer(asked)
      } catch (error) {
        // `say` failed: the user is gone, and nobody waits for the rest.
        this.#options.logger?.debug('a reply could not be delivered:', error)
        this.#waiting.clear()
        this.#waitingBytes = 0
      }
      this.#current = undefined
    }
  }

  async #answer(asked: Asked): Promise<void> {
    const { question } = asked
    const { say } = this.#options
    const controller = new AbortController()
    const current = { id: question.id, cut: undefined as Cut | undefined, controller }
    this.#current = current
    const delta = deltaOf(question)
    let answer = ''
    let failure: ReplyFault | undefined
    try {
      await say({ ...delta, start: true, state: 'thinking' })
      for await (const piece of this.#pieces(question, current)) {
        if (piece.reset) answer = ''
        await say({
          ...delta,
          content: piece.text,
          ...(piece.reset && { start: true }),
          ...(answer === '' && { state: 'speaking' }),
          ...(piece.offset !== undefined && { offset: piece.offset }),
        })
        answer += piece.text
      }
    } catch (error) {
      // Nobody is there any more, or the responder failed. Either way it need not go on.
      if (!(error instanceof ResponderFailure)) {
        current.cut ??= 'silently'
        controller.abort(cutReason('silently'))
        throw error
      }
      failure = error.fault
    }
    if (answer !== '') this.#remember(question.content, answer)
    if (current.cut === 'silently') return
    await this.#sayEnd(asked, current.cut ?? failure)
  }

  /** What the responder gives. @throws ResponderFailure when it fails, is silent for too long, or is cut short */
  async *#pieces(
    question: Question,
    current: { cut: Cut | undefined; readonly controller: AbortController },
  ): AsyncGenerator<{ readonly text: string; readonly offset?: string; readonly reset?: boolean }> {
    const { respond, answerTimeout, clock } = this.#options
    const { controller } = current
    const { signal } = controller
    let timer: TimerHandle
    const listen = () => {
      if (answerTimeout === Infinity) return
      timer = clock.setTimeout(
        () => {
          current.cut ??= TIMEOUT
          controller.abort(cutReason(TIMEOUT))
        },
        answerTimeout,
        true,
      )
    }
    try {
      listen()
      const called = callNow(
        () => respond(question, { signal, history: [...this.#history] }),
        () => {},
      )
      if (!called.ok) throw called.error
      for await (const piece of untilAborted(called.value as AsyncIterable<unknown>, signal)) {
        clock.clearTimeout(timer)
        // While the user takes it the responder is not the one who is slow.
        if (piece instanceof AnswerPiece) yield piece
        else if (typeof piece !== 'string')
          throw new TypeError(`respond must give strings, gave ${kindOf(piece)}`)
        else if (piece !== '') yield { text: piece }
        listen()
      }
    } catch (error) {
      throw this.#failureOf(error, current.cut)
    } finally {
      clock.clearTimeout(timer)
    }
  }

  #failureOf(error: unknown, cut: Cut | undefined): ResponderFailure {
    if (cut !== undefined) {
      if (cut === TIMEOUT) this.#options.logger?.error('the responder fell silent (answerTimeout)')
      return new ResponderFailure(FAILED)
    }
    this.#options.logger?.error('the responder failed:', error)
    return new ResponderFailure(faultOf(error))
  }

  /** The last delta of an answer. Then the question is done with, before anything else can happen to it. */
  #sayEnd({ question, onEnded }: Asked, cut: Exclude<Cut, 'silently'> | undefined): Promise<void> {
    const fault = typeof cut === 'object' ? { error: cut } : {}
    const said = this.#options.say({ ...deltaOf(question), end: true, state: 'idle', ...fault })
    onEnded?.()
    return said
  }

  #remember(question: string, answer: string): void {
    this.#history.push({ role: 'user', content: question }, { role: 'assistant', content: answer })
    let characters = this.#history.reduce((sum, { content }) => sum + content.length, 0)
    while (this.#history.length > HISTORY_TURNS || characters > HISTORY_CHARACTERS) {
      for (const { content } of this.#history.splice(0, 2)) characters -= content.length
    }
  }
}

/** The responder's part of an answer is over, and not as it should be. */
class ResponderFailure {
  readonly fault: ReplyFault

  constructor(fault: ReplyFault) {
    this.fault = fault
  }
}

function deltaOf({ id }: Question) {
  return { role: 'assistant', type: 'message', request_id: id, content: '' } as const
}

/** What a question holds on to: its texts are a byte or two per character, most of them one. */
function bytesOf({ content, image = '' }: Question): number {
  return content.length + image.length
}
