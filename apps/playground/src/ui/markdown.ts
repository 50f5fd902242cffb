// Answers as elements. Text becomes text nodes and nothing else: no answer is ever parsed as markup.

import { type Block, type Inline, parseMarkdown } from '../model/markdown.ts'
import { h } from './dom.ts'
import { icon } from './icons.ts'

/** An answer that grows: what has not changed keeps its elements, so that what a reader has selected stays so. */
export class MarkdownView {
  readonly element = h('div', { class: 'markdown' })
  #blocks: readonly Block[] = []

  render(text: string): void {
    const blocks = parseMarkdown(text)
    const same = blocks.findIndex(({ kind, source }, index) => {
      const before = this.#blocks[index]
      return before?.source !== source || before.kind !== kind
    })
    if (same === -1 && blocks.length === this.#blocks.length) return
    const kept = same === -1 ? blocks.length : same
    while (this.element.children.length > kept) this.element.lastElementChild?.remove()
    this.element.append(...blocks.slice(kept).map(elementOf))
    this.#blocks = blocks
  }
}

function elementOf(block: Block): HTMLElement {
  switch (block.kind) {
    case 'code':
      return h('pre', { tabindex: 0 }, h('code', {}, block.text))
    case 'list':
      return h(
        block.ordered ? 'ol' : 'ul',
        {},
        ...block.items.map((item) => h('li', {}, ...item.map(nodeOf))),
      )
    case 'heading':
      return h('h4', {}, ...block.children.map(nodeOf))
    case 'source':
      return h('p', { class: 'source' }, icon('page'), h('span', {}, ...block.children.map(nodeOf)))
    case 'paragraph':
      return h('p', {}, ...block.children.map(nodeOf))
  }
}

function nodeOf(part: Inline): Node | string {
  switch (part.kind) {
    case 'text':
      return part.text
    case 'code':
      return h('code', {}, part.text)
    case 'strong':
      return h('strong', {}, ...part.children.map(nodeOf))
    case 'link':
      return h('a', { href: part.href, rel: 'noreferrer noopener', target: '_blank' }, part.text)
  }
}
