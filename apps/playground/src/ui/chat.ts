// The conversation as one reads it.

import type { Exchange, Question } from '../model/Conversation.ts'
import { h } from './dom.ts'
import { ExchangeView } from './exchange.ts'

const SUGGESTIONS = [
  'What happens when the line is cut?',
  'Is a POST ever sent twice?',
  'How does the circuit breaker decide?',
]
/** Who is so near the end reads along. */
const NEAR_END_PX = 160

export class Chat {
  readonly element: HTMLElement
  readonly #list = h('ol', { class: 'talk', 'aria-label': 'Conversation' })
  readonly #empty: HTMLElement
  readonly #ask: (question: Question) => void
  readonly #views = new Map<string, ExchangeView>()

  constructor(ask: (question: Question) => void) {
    this.#ask = ask
    this.#empty = h(
      'div',
      { class: 'empty' },
      h('h2', {}, 'Ask something. Then cut the line.'),
      h(
        'p',
        {},
        'The assistant answers from the docs of this library, over this library. Hurt the connection while it speaks: the answer goes on where it was cut.',
      ),
      h(
        'ul',
        { class: 'suggestions' },
        ...SUGGESTIONS.map((text) =>
          h('li', {}, h('button', { type: 'button', onclick: () => ask({ text }) }, text)),
        ),
      ),
    )
    this.element = h('div', { class: 'chat-scroll' }, this.#empty, this.#list)
    // What grows below it must not hide the end from who reads it.
    new ResizeObserver(() => this.#scroll(this.#readsAlong)).observe(this.element)
  }

  draw(exchange: Exchange): void {
    let view = this.#views.get(exchange.id)
    if (!view) {
      this.#empty.remove()
      view = new ExchangeView(exchange, () => this.#ask(exchange))
      this.#views.set(exchange.id, view)
      this.#list.append(...view.elements)
      view.draw(exchange)
      this.#scroll(true)
      return
    }
    const readsAlong = this.#readsAlong
    view.draw(exchange)
    this.#scroll(readsAlong)
  }

  get #readsAlong(): boolean {
    const { scrollHeight, scrollTop, clientHeight } = this.element
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX
  }

  #scroll(follow: boolean): void {
    if (follow) this.element.scrollTop = this.element.scrollHeight
  }
}
