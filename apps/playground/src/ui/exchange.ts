// One question and its answer.

import { type Delivery, type Exchange, isHalted } from '../model/Conversation.ts'
import { h } from './dom.ts'
import { type IconName, icon } from './icons.ts'
import { MarkdownView } from './markdown.ts'

const MARKS: Readonly<Record<Delivery, readonly [icon: IconName, words: string]>> = {
  queued: ['clock', 'waits for the line'],
  sent: ['sent', 'sent'],
  answering: ['sent', 'sent'],
  answered: ['answered', 'answered'],
  stopped: ['stop', 'stopped'],
  lost: ['broken', 'lost under way'],
  failed: ['failed', 'failed'],
}

export class ExchangeView {
  /** Question and answer: two items of the conversation. */
  readonly elements: readonly [question: HTMLElement, answer: HTMLElement]
  readonly #mark = h('span', { class: 'mark' })
  readonly #markdown = new MarkdownView()
  readonly #end = h('div', { class: 'end' })
  readonly #askAgain: () => void
  #delivery: Delivery | undefined

  constructor({ text, image, askedAt }: Exchange, askAgain: () => void) {
    this.#askAgain = askAgain
    const time = new Date(askedAt).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    this.elements = [
      h(
        'li',
        { class: 'question' },
        h(
          'div',
          { class: 'bubble' },
          image !== undefined && h('img', { src: image, alt: 'The image you sent' }),
          h('p', {}, text),
        ),
        h('span', { class: 'meta' }, h('time', {}, time), this.#mark),
      ),
      h('li', { class: 'reply' }, this.#markdown.element, this.#end),
    ]
  }

  draw(exchange: Exchange): void {
    const { delivery, answer, cuts, problem } = exchange
    this.#markdown.render(answer, cuts)
    this.elements[1].classList.toggle('halted', isHalted(exchange))
    if (delivery === this.#delivery) return
    this.#delivery = delivery
    for (const element of this.elements) element.dataset.delivery = delivery
    const [sign, words] = MARKS[delivery]
    this.#mark.replaceChildren(icon(sign), words)
    this.#end.replaceChildren(...this.#endOf(delivery, answer === '', problem ?? ''))
  }

  #endOf(delivery: Delivery, isEmpty: boolean, problem: string): HTMLElement[] {
    if (delivery === 'stopped') return [h('p', { class: 'aside' }, 'You stopped this answer.')]
    if (delivery === 'answered' && isEmpty) return [h('p', { class: 'aside' }, 'Nothing was answered.')]
    if (delivery !== 'lost' && delivery !== 'failed') return []
    return [
      h(
        'div',
        { class: `failure ${delivery}` },
        delivery === 'lost' && h('span', { class: 'tear' }, icon('broken'), 'the session was lost here'),
        h(
          'div',
          { class: 'failure-row' },
          h('p', {}, problem),
          h('button', { type: 'button', class: 'small', onclick: this.#askAgain }, 'Ask again'),
        ),
      ),
    ]
  }
}
