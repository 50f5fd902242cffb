// A section in the pieces that an answer is made of: paragraphs, list items, rows of tables, blocks of code.

export interface Passage {
  readonly kind: 'prose' | 'item' | 'code'
  /** As it is said: one line, or a fenced block. */
  readonly text: string
  /** Words that belong to it but are not said again, such as the heading of its table. */
  readonly context: string
}

/** Longer blocks are for reading on the page. */
const MAX_CODE_LINES = 16

export function passagesOf(body: string): Passage[] {
  const passages: Passage[] = []
  for (const block of blocksOf(body)) {
    if (block.startsWith('```')) {
      if (isShortCode(block)) passages.push({ kind: 'code', text: block, context: '' })
    } else if (block.startsWith('|')) {
      passages.push(...rowsOf(block))
    } else if (/^[-*] |^\d+\. /.test(block)) {
      for (const item of block.split(/\n(?=[-*] |\d+\. )/)) {
        passages.push({ kind: 'item', text: plain(item.replace(/^\* /, '- ')), context: '' })
      }
    } else {
      passages.push({ kind: 'prose', text: plain(block), context: '' })
    }
  }
  return passages
}

/** A block that names no language is a drawing. */
function isShortCode(block: string): boolean {
  return /^```\w/.test(block) && block.split('\n').length <= MAX_CODE_LINES + 2
}

/** What stands between blank lines; a fenced block is one, whatever is in it. */
function blocksOf(body: string): string[] {
  return body
    .split(/^(```[\s\S]*?^```)[ \t]*$/m)
    .flatMap((part) => (part.startsWith('```') ? [part] : part.split(/\n\s*\n/)))
    .map((block) => block.trim())
    .filter((block) => block !== '')
}

/** The rows of a table as `- first: others`. */
function rowsOf(table: string): Passage[] {
  const [heading = '', , ...rows] = table.split('\n').map(cellsOf)
  return rows
    .filter(({ length }) => length > 0)
    .map(([first = '', ...others]) => ({
      kind: 'item',
      text: others.length > 0 ? `- ${first}: ${others.join(', ')}` : `- ${first}`,
      context: Array.isArray(heading) ? heading.join(' ') : heading,
    }))
}

function cellsOf(row: string): string[] {
  return plain(row)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))
    .filter((cell) => cell !== '')
}

/** On one line; links keep their text. */
function plain(block: string): string {
  return block
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\[([^\]]+)\]\([^)]+\)/g, '$1')
    .trim()
}
