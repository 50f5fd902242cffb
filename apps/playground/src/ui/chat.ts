// The conversation: what was asked, what became of it, what is answered.

import type { CommsError, Reply } from 'guru-comms'
import { h, setText } from './dom.ts'
import { renderMarkdown } from './markdown.ts'

export interface Question {
  readonly text: string
  /** A `data:` URL. */
  readonly image: string | undefined
}

const SUGGESTIONS = [
  'What happens when the line is cut?',
  'Is a POST ever sent twice?',
  'How does the circuit breaker decide?',
]

/** What to tell a person about an answer that did not come to its end. */
const FAILURES: Readonly<Record<string, string>> = {
  CONNECTION:
    'The line was cut while this was being answered. It was not asked again by itself: that could answer it twice.',
  TIMEOUT: 'Nothing more was heard of this answer.',
  DROPPED: 'The queue was full, and this had to go.',
}

export class Chat {
  readonly element: HTMLElement
  readonly #list = h('ol', { class: 'talk', 'aria-live': 'polite', 'aria-label': 'Conversation' })
  readonly #empty: HTMLElement
  readonly #ask: (question: Question) => Reply
  readonly #isOpen: () => boolean
  readonly #running = new Set<Reply>()
  /** Told when the first answer starts and the last has ended. */
  onBusy: (busy: boolean) => void = () => {}
  readonly #waiting = new Set<HTMLElement>()

  constructor(ask: (question: Question) => Reply, isOpen: () => boolean) {
    this.#ask = ask
    this.#isOpen = isOpen
    this.#empty = h(
      'div',
      { class: 'empty' },
      h('h2', {}, 'Ask, then cut the line'),
      h(
        'p',
        {},
        'The assistant answers from the docs of guru-comms. Whatever you do to its line, see what becomes of your question.',
      ),
      h(
        'div',
        { class: 'suggestions' },
        ...SUGGESTIONS.map((text) =>
          h('button', { type: 'button', onclick: () => this.send({ text, image: undefined }) }, text),
        ),
      ),
    )
    this.element = h('div', { class: 'chat-scroll' }, this.#empty, this.#list)
  }

  /** Asks, and shows question and answer. What is wrong with the question is thrown. */
  send(question: Question): void {
    const reply = this.#ask(question)
    this.#empty.remove()
    const mark = h('span', { class: 'mark' })
    const asked = h(
      'li',
      { class: 'said mine' },
      h(
        'div',
        { class: 'bubble' },
        question.image !== undefined && h('img', { src: question.image, alt: 'The image you sent' }),
        h('p', {}, question.text),
      ),
      mark,
    )
    this.#setMark(asked, mark, this.#isOpen() ? 'sent' : 'queued')
    const body = h('div', { class: 'answer' })
    const answer = h('li', { class: 'said theirs pending' }, body)
    this.#list.append(asked, answer)
    this.#scroll(true)
    void this.#follow(question, reply, { asked, mark, answer, body })
  }

  /** The line is open: what was queued is on its way. */
  flushed(): void {
    for (const asked of this.#waiting)
      this.#setMark(asked, asked.querySelector('.mark') as HTMLElement, 'sent')
  }

  stop(): void {
    for (const reply of this.#running) reply.stop()
  }

  async #follow(
    question: Question,
    reply: Reply,
    {
      asked,
      mark,
      answer,
      body,
    }: { asked: HTMLElement; mark: HTMLElement; answer: HTMLElement; body: HTMLElement },
  ): Promise<void> {
    this.#running.add(reply)
    this.onBusy(true)
    let text = ''
    try {
      for await (const piece of reply) {
        text += piece
        answer.classList.replace('pending', 'streaming')
        body.replaceChildren(...renderMarkdown(text))
        this.#scroll(false)
      }
      if (text === '') body.replaceChildren(h('p', { class: 'aside' }, 'Stopped.'))
      this.#setMark(asked, mark, 'answered')
    } catch (error) {
      this.#setMark(asked, mark, 'failed')
      const code = (error as CommsError).code
      body.append(
        h(
          'div',
          { class: 'failure', role: 'alert' },
          h('p', {}, FAILURES[code] ?? (error as Error).message),
          h('button', { type: 'button', onclick: () => this.send(question) }, 'Ask again'),
        ),
      )
    }
    answer.classList.remove('pending', 'streaming')
    this.#running.delete(reply)
    this.onBusy(this.#running.size > 0)
    this.#scroll(false)
  }

  #setMark(asked: HTMLElement, mark: HTMLElement, state: 'queued' | 'sent' | 'answered' | 'failed'): void {
    const words = {
      queued: 'waiting for the line',
      sent: 'sent',
      answered: 'answered',
      failed: 'not answered',
    }
    setText(mark, words[state])
    asked.dataset.mark = state
    if (state === 'queued') this.#waiting.add(asked)
    else this.#waiting.delete(asked)
  }

  /** Follows the answer, unless the reader has scrolled up to read. */
  #scroll(always: boolean): void {
    const { scrollHeight, scrollTop, clientHeight } = this.element
    if (always || scrollHeight - scrollTop - clientHeight < 160) this.element.scrollTop = scrollHeight
  }
}
