// The offline assistant: answers questions about guru-comms from the project's own pages, and says where it read it.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Responder } from 'guru-comms/server'
import MiniSearch from 'minisearch'
import type { Section } from './sections.ts'

/** Words that are in every question and tell nothing. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  `a an and are as at be by can could did do does for from get give had has have how i if in into is it its me my of on or our
   please should so tell that the their them then there these they this to up us was we what when where which while who why
   will with would you your about happens happen mean means work works explain guru comms`.split(/\s+/),
)

/** With no more than this share of the question's words in it, a section answers another question. */
const MIN_COVERAGE = 0.5
const MAX_PARAGRAPHS = 3
const MAX_CHARACTERS = 700

export interface DocsAssistantOptions {
  readonly sections: readonly Section[]
  /** Between two words, in milliseconds; 0 for tests. */
  readonly paceMs: number
}

export class DocsAssistant implements Responder {
  readonly #index: MiniSearch<Section>
  readonly #sections: readonly Section[]
  readonly #paceMs: number

  constructor({ sections, paceMs }: DocsAssistantOptions) {
    this.#sections = sections
    this.#paceMs = paceMs
    this.#index = new MiniSearch<Section>({
      fields: ['title', 'body'],
      processTerm: toTerm,
      searchOptions: {
        boost: { title: 3 },
        fuzzy: (term) => (term.length > 5 ? 0.2 : false),
        prefix: (term) => term.length > 3,
      },
    })
    this.#index.addAll([...sections])
  }

  async *respond(
    { content, image }: { content: string; image?: string },
    { signal }: { signal: AbortSignal },
  ): AsyncIterable<string> {
    const answer = image
      ? `I cannot see images: I only know the docs. ${this.answer(content)}`
      : this.answer(content)
    for (const word of answer.split(/(?<=\s)(?=\S)/)) {
      if (signal.aborted) return
      yield word
      if (this.#paceMs > 0) await sleep(this.#paceMs, undefined, { signal }).catch(() => {})
    }
  }

  /** The whole answer to a question. */
  answer(question: string): string {
    const asked = new Set(termsOf(question))
    const [best, second] = this.#index
      .search(question)
      .filter(({ queryTerms }) => new Set(queryTerms).size / asked.size > MIN_COVERAGE)
      .map((result) => ({
        ...result,
        score: result.score * (1 + 3 * this.#titleCoverage(result.id, asked) ** 2),
      }))
      .sort((one, other) => other.score - one.score)
    if (!best) return this.#dontKnow()
    const chosen = this.#sections[best.id] as Section
    const text = essence(chosen.body, best.terms)
    const also =
      second && second.score > best.score * 0.5 ? (this.#sections[second.id] as Section) : undefined
    return `${text}\n\nFrom ${chosen.citation}${also ? `; see also ${also.citation}` : ''}`
  }

  /** The share of the question's words that stand in a section's heading: one that asks the same answers it best. */
  #titleCoverage(id: number, asked: ReadonlySet<string>): number {
    const title = new Set(termsOf((this.#sections[id] as Section).title))
    return [...asked].filter((term) => title.has(term)).length / asked.size
  }

  #dontKnow(): string {
    const topics = this.#sections.filter(({ citation }) => !citation.includes('#')).map(({ title }) => title)
    return `I found nothing about that in the docs of guru-comms, and they are all I know. I can tell you about ${listed(topics)}.`
  }
}

/** The words that tell something, without their endings. */
function termsOf(text: string): string[] {
  return (text.match(/[\p{L}\p{N}_]+/gu) ?? []).map(toTerm).filter((term) => term !== null)
}

function toTerm(word: string): string | null {
  const lower = word.toLowerCase()
  return STOP_WORDS.has(lower) || lower.length < 2 ? null : stem(lower)
}

/** The simplest endings of English: enough for an index and a question to meet. */
function stem(word: string): string {
  return word.length > 4 ? word.replace(/(?:ies|ing|ed|es|s|e)$/, '') : word
}

/** The prose of a section, or the rows of its table that match, short enough to be said. */
function essence(body: string, terms: readonly string[]): string {
  const blocks = body.replace(/```[\s\S]*?```/g, '').split(/\n{2,}/)
  const prose = blocks
    .filter((block) => block.trim() !== '' && !/^\s*\|/.test(block))
    .map((block) => unwrap(block))
  const rows = blocks.filter((block) => /^\s*\|/.test(block)).flatMap((table) => tableRows(table))
  const matching = rows.filter((row) => terms.some((term) => row.toLowerCase().includes(term))).slice(0, 3)
  let text = ''
  for (const paragraph of prose.slice(0, MAX_PARAGRAPHS)) {
    if (text !== '' && text.length + paragraph.length > MAX_CHARACTERS) break
    text += `${text && '\n\n'}${paragraph}`
  }
  if (matching.length > 0 && text.length < MAX_CHARACTERS) text += `${text && '\n\n'}${matching.join('\n')}`
  return text || rows.slice(0, 3).join('\n') || 'The page has code on that.'
}

/** A paragraph on one line; list items keep theirs. Links keep their text. */
function unwrap(block: string): string {
  return block
    .replace(/\n(?!\s*[-*\d])/g, ' ')
    .replace(/\[([^\]]+)\]\([^)]+\)/g, '$1')
    .trim()
}

/** The rows of a table as `- first: others`, heading and ruler left out. */
function tableRows(table: string): string[] {
  return table
    .split('\n')
    .slice(2)
    .map((row) =>
      unwrap(row)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim())
        .filter((cell) => cell !== ''),
    )
    .filter((cells) => cells.length > 0)
    .map(([first, ...others]) => (others.length > 0 ? `- ${first}: ${others.join(', ')}` : `- ${first}`))
}

function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}
