// Answers as elements. Text becomes text nodes and nothing else: no answer is ever parsed as markup.

import type { Cut } from '../model/Conversation.ts'
import { formatMs } from '../model/format.ts'
import { type Block, type Inline, parseMarkdown, placeOf } from '../model/markdown.ts'
import { h, setText } from './dom.ts'
import { icon } from './icons.ts'

/** An answer that grows: what has not changed keeps its elements, so that what a reader has selected stays so. */
export class MarkdownView {
  readonly element = h('div', { class: 'markdown' })
  #blocks: readonly Block[] = []
  readonly #cuts: CutMark[] = []

  /** @param cuts where the line was cut: a mark stands there */
  render(text: string, cuts: readonly Cut[]): void {
    this.#renderBlocks(text)
    for (const [index, cut] of cuts.entries()) {
      const mark = this.#cuts[index] ?? new CutMark()
      this.#cuts[index] = mark
      mark.draw(cut)
      // Where its block was made anew, it is not there any more.
      if (!this.element.contains(mark.element)) this.#place(mark.element, text, cut)
    }
    for (const mark of this.#cuts.splice(cuts.length)) mark.element.remove()
  }

  #renderBlocks(text: string): void {
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

  #place(mark: HTMLElement, text: string, { at }: Cut): void {
    const place = placeOf(this.#blocks, text.slice(0, at))
    const block = place && this.element.children[place.block]
    if (block) insert(mark, block, place.at)
  }
}

/** Says where the line was cut, and for how long the answer halted. */
class CutMark {
  readonly #words = h('span', {})
  readonly element = h('span', { class: 'cut' }, icon('broken'), this.#words)

  draw({ gapMs }: Cut): void {
    this.element.classList.toggle('open', gapMs === undefined)
    setText(
      this.#words,
      gapMs === undefined ? 'line cut here' : `line cut here, went on after ${formatMs(gapMs)}`,
    )
  }
}

/** Puts an element into the text of another, behind so many characters; marks that are there already do not count. */
function insert(mark: HTMLElement, into: Element, at: number): void {
  const walker = document.createTreeWalker(into, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement?.closest('.cut') ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
  )
  let before = 0
  for (let node = walker.nextNode() as Text | null; node; node = walker.nextNode() as Text | null) {
    if (before + node.length >= at) {
      insertIntoText(mark, node, at - before)
      return
    }
    before += node.length
  }
  into.append(mark)
}

/** Code is not torn: where it is a block, the mark has a line of its own, else it stands behind or in front. */
function insertIntoText(mark: HTMLElement, node: Text, at: number): void {
  const code = node.parentElement?.closest('code')
  if (code?.parentElement?.matches('pre')) {
    const lineEnd = node.data.indexOf('\n', at)
    node.splitText(lineEnd < 0 ? node.length : lineEnd + 1).before(mark)
  } else if (code) {
    if (at === node.length) code.after(mark)
    else code.before(mark)
  } else node.splitText(at).before(mark)
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
