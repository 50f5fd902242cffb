// The little Markdown that answers use, as elements: paragraphs, lists, code, bold, links. Everything else stays text.

import { h } from './dom.ts'

/** The elements of a text. */
export function renderMarkdown(text: string): Node[] {
  const nodes: Node[] = []
  for (const block of text.split(/\n{2,}/)) {
    if (block.startsWith('```')) {
      nodes.push(h('pre', {}, h('code', {}, block.replace(/^```\w*\n?|\n?```$/g, ''))))
      continue
    }
    let list: HTMLElement | undefined
    let paragraph: HTMLElement | undefined
    for (const line of block.split('\n')) {
      const item = /^\s*[-*] (.*)$/.exec(line)
      if (item) {
        paragraph = undefined
        if (!list) {
          list = h('ul')
          nodes.push(list)
        }
        list.append(h('li', {}, ...inline(item[1] as string)))
      } else if (line.trim() !== '') {
        if (list) {
          // What follows an item without a mark of its own goes on with it.
          list.lastElementChild?.append(' ', ...inline(line.trim()))
          continue
        }
        if (paragraph) paragraph.append(' ')
        else {
          paragraph = h('p')
          nodes.push(paragraph)
        }
        paragraph.append(...inline(line))
      }
    }
  }
  return nodes
}

const MARK = /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((https?:\/\/[^)\s]+)\)/g

function inline(text: string): (Node | string)[] {
  const parts: (Node | string)[] = []
  let end = 0
  for (const match of text.matchAll(MARK)) {
    parts.push(text.slice(end, match.index))
    const [whole, code, bold, label, href] = match
    if (code !== undefined) parts.push(h('code', {}, code))
    else if (bold !== undefined) parts.push(h('strong', {}, bold))
    else parts.push(h('a', { href, rel: 'noreferrer noopener', target: '_blank' }, label))
    end = match.index + whole.length
  }
  parts.push(text.slice(end))
  return parts.filter((part) => part !== '')
}
