// The little Markdown that answers use, as data: paragraphs, headings, lists, code, bold, links to the web, and the line that says
// where an answer was read. Everything else stays text. Reads answers that are still coming in: what is open is taken as it stands.

export type Inline =
  | { readonly kind: 'text' | 'code'; readonly text: string }
  | { readonly kind: 'strong'; readonly children: readonly Inline[] }
  | { readonly kind: 'link'; readonly href: string; readonly text: string }

type Content =
  | { readonly kind: 'paragraph' | 'heading' | 'source'; readonly children: readonly Inline[] }
  | { readonly kind: 'list'; readonly ordered: boolean; readonly items: readonly (readonly Inline[])[] }
  | { readonly kind: 'code'; readonly text: string }

/** `source` is the text it was read from: the same source is the same block. */
export type Block = Content & { readonly source: string }

const FENCE = /^\s*```/
const BULLET = /^\s*[-*+] (.*)$/
const NUMBER = /^\s*\d{1,3}[.)] (.*)$/
const HEADING = /^#{1,6} +(.+?) *#*$/
const CITED = /^From [\w./-]+\.md\b/

export function parseMarkdown(text: string): Block[] {
  const lines = text.split('\n')
  const blocks: Block[] = []
  let at = 0
  const take = (goesOn: (line: string) => boolean): string[] => {
    const from = at
    do at += 1
    while (at < lines.length && goesOn(lines[at] as string))
    return lines.slice(from, at)
  }
  while (at < lines.length) {
    const line = lines[at] as string
    if (line.trim() === '') at += 1
    else if (FENCE.test(line)) {
      const inside = take((next) => !FENCE.test(next))
      at += 1
      blocks.push({ kind: 'code', text: inside.slice(1).join('\n'), source: inside.join('\n') })
    } else if (HEADING.test(line)) {
      at += 1
      blocks.push({ kind: 'heading', children: inline(HEADING.exec(line)?.[1] ?? ''), source: line })
    } else if (BULLET.test(line) || NUMBER.test(line)) {
      const taken = take((next) => next.trim() !== '' && !FENCE.test(next))
      blocks.push({ ...list(taken), source: taken.join('\n') })
    } else {
      const taken = take((next) => next.trim() !== '' && !startsBlock(next))
      const source = taken.map((part) => part.trim()).join(' ')
      blocks.push({ kind: CITED.test(source) ? 'source' : 'paragraph', children: inline(source), source })
    }
  }
  return blocks
}

function startsBlock(line: string): boolean {
  return [FENCE, BULLET, NUMBER, HEADING].some((pattern) => pattern.test(line))
}

function list(lines: readonly string[]): Content {
  const items: string[] = []
  for (const line of lines) {
    const item = BULLET.exec(line) ?? NUMBER.exec(line)
    if (item) items.push(item[1] as string)
    // What follows an item without a mark of its own goes on with it.
    else items.push(`${items.pop()} ${line.trim()}`)
  }
  return { kind: 'list', ordered: NUMBER.test(lines[0] as string), items: items.map(inline) }
}

const MARK = /`([^`]+)`|\*\*(.+?)\*\*|\[([^\]]+)\]\(([^()\s]+)\)/g

function inline(text: string): Inline[] {
  const parts: Inline[] = []
  let end = 0
  const plain = (until: number) => {
    if (until > end) parts.push({ kind: 'text', text: text.slice(end, until) })
  }
  for (const match of text.matchAll(MARK)) {
    plain(match.index)
    const [whole, code, bold, label, href] = match
    if (code !== undefined) parts.push({ kind: 'code', text: code })
    else if (bold !== undefined) parts.push({ kind: 'strong', children: inline(bold) })
    else parts.push(link(label as string, href as string))
    end = match.index + whole.length
  }
  plain(text.length)
  return parts
}

/** A link that does not lead to the web (a page of the docs, a script) is its label and no more. */
function link(text: string, href: string): Inline {
  const url = URL.canParse(href) ? new URL(href) : undefined
  return url?.protocol === 'https:' || url?.protocol === 'http:'
    ? { kind: 'link', href: url.href, text }
    : { kind: 'text', text }
}

/** Its text without any markup, as it is shown. */
export function textOf(block: Block): string {
  if (block.kind === 'code') return block.text
  return (block.kind === 'list' ? block.items.flat() : block.children).map(textOfInline).join('')
}

function textOfInline(part: Inline): string {
  return part.kind === 'strong' ? part.children.map(textOfInline).join('') : part.text
}

/**
 * Where a beginning of the source ends in what is shown of the whole: the block, and how much of its text stands before. Markup
 * that is open there reads otherwise once it is closed: then it is the place before it. `undefined` when nothing is shown.
 */
export function placeOf(
  blocks: readonly Block[],
  beginning: string,
): { readonly block: number; readonly at: number } | undefined {
  const begun = parseMarkdown(beginning)
  const block = begun.length - 1
  const there = blocks[block]
  if (!there) return undefined
  const whole = textOf(there)
  const part = textOf(begun[block] as Block)
  let at = 0
  while (at < part.length && part[at] === whole[at]) at += 1
  return { block, at }
}
