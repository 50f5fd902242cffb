// The offline assistant: answers questions about guru-comms from the project's own pages, and says where it read it.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Responder } from 'guru-comms/server'
import MiniSearch from 'minisearch'
import { type Passage, passagesOf } from './passages.ts'
import type { Section } from './sections.ts'
import { identifiersIn, termOf, termsOf, words } from './terms.ts'

/** With a smaller share of the question's words in it, a section answers another question. */
const MIN_COVERAGE = 0.5
/** Below this, it says that what it found is not quite what was asked. */
const GOOD_COVERAGE = 0.7
/** How much more a passage is worth that has a name out of the question. */
const NAMED = 4
/** A passage belongs to the answer when it scores this share of the best one. */
const WORTH_SAYING = 0.45
const MAX_CHARACTERS = 800
const MAX_ITEMS = 5
const SUGGESTIONS = 3

export interface DocsAssistantOptions {
  readonly sections: readonly Section[]
  /** Between two words, in milliseconds; 0 for tests. */
  readonly paceMs: number
}

/** A passage as it stands in the index. */
interface Entry extends Passage {
  readonly id: number
  readonly section: Section
  readonly title: string
}

/** A section that has to do with the question. */
interface Candidate {
  readonly section: Section
  readonly score: number
  /** The share of the question's words that it has, heading included. */
  readonly coverage: number
  /** Scores of its passages, by id. */
  readonly scores: ReadonlyMap<number, number>
}

export class DocsAssistant implements Responder {
  readonly #index: MiniSearch<Entry>
  readonly #entries: readonly Entry[]
  readonly #sections: readonly Section[]
  readonly #paceMs: number

  constructor({ sections, paceMs }: DocsAssistantOptions) {
    this.#sections = sections
    this.#paceMs = paceMs
    this.#entries = sections
      .flatMap((section) => passagesOf(section.body).map((passage) => ({ ...passage, section })))
      .map((passage, id) => ({ ...passage, id, title: passage.section.title }))
    this.#index = new MiniSearch<Entry>({
      fields: ['title', 'text', 'context'],
      tokenize: words,
      processTerm: termOf,
      searchOptions: {
        boost: { title: 2, context: 0.3 },
        fuzzy: (term) => (term.length > 6 ? 0.2 : false),
        prefix: (term) => term.length > 3,
      },
    })
    this.#index.addAll(this.#entries)
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
    const asked = termsOf(question)
    if (asked.size === 0) return this.#introduction()
    const [best, second] = this.#candidates(question, asked)
    if (!best) return this.#dontKnow()
    const hedge = best.coverage < GOOD_COVERAGE ? 'I found nothing on exactly that. The nearest:\n\n' : ''
    const also = second && second.score > best.score * 0.6 ? `; see also ${second.section.citation}` : ''
    return `${hedge}${this.#said(best)}\n\nFrom ${best.section.citation}${also}`
  }

  /** Sections that may answer, the best first. */
  #candidates(question: string, asked: ReadonlySet<string>): Candidate[] {
    const found = new Map<Section, { scores: Map<number, number>; matched: Set<string> }>()
    const names = identifiersIn(question)
    for (const { id, score, queryTerms } of this.#index.search(question)) {
      const { section, text } = this.#entries[id] as Entry
      const named = names.some((name) => text.includes(name))
      const of = found.get(section) ?? { scores: new Map(), matched: new Set() }
      found.set(section, of)
      of.scores.set(id, named ? score * NAMED : score)
      for (const term of queryTerms) of.matched.add(term)
    }
    return [...found]
      .map(([section, { scores, matched }]) => {
        const coverage = matched.size / asked.size
        const inTitle = termsOf(section.title)
        const titled = [...asked].filter((term) => inTitle.has(term)).length / asked.size
        // A heading that asks the same answers it best.
        const score = Math.max(...scores.values()) * coverage ** 2 * (1 + 2 * titled ** 2)
        return { section, coverage, scores, score }
      })
      .filter(({ coverage }) => coverage >= MIN_COVERAGE)
      .sort((one, other) => other.score - one.score)
  }

  /** The passages of a section that answer, in the order they stand, examples last, short enough to be listened to. */
  #said({ section, scores }: Candidate): string {
    const best = Math.max(...scores.values())
    const worth = this.#entries.filter(
      (entry) => entry.section === section && (scores.get(entry.id) ?? 0) >= best * WORTH_SAYING,
    )
    const said: Entry[] = []
    let characters = 0
    const left = { prose: Number.POSITIVE_INFINITY, item: MAX_ITEMS, code: 1 }
    // Words first, an example after them.
    for (const entry of worth.toSorted(
      (one, other) => Number(one.kind === 'code') - Number(other.kind === 'code'),
    )) {
      if (left[entry.kind] === 0) continue
      if (said.length > 0 && characters + entry.text.length > MAX_CHARACTERS) continue
      said.push(entry)
      characters += entry.text.length
      left[entry.kind] -= 1
    }
    return said
      .map(({ kind, text }, index) => {
        const listed = kind === 'item' && said[index - 1]?.kind === 'item'
        return `${index === 0 ? '' : listed ? '\n' : '\n\n'}${text}`
      })
      .join('')
  }

  #introduction(): string {
    const about = this.#entries.find(({ kind, section }) => kind === 'prose' && section === this.#sections[0])
    return `I answer questions about guru-comms from its own docs. ${about?.text ?? ''}\n\n${this.#suggestions()}`
  }

  #dontKnow(): string {
    return `I found nothing about that in the docs of guru-comms, and they are all I know.\n\n${this.#suggestions()}`
  }

  /** Questions that the docs answer under that very heading. */
  #suggestions(): string {
    const questions = this.#sections.map(({ title }) => title.split(' › ').at(-1) ?? '')
    const asking = questions.filter((title) => title.endsWith('?')).slice(0, SUGGESTIONS)
    return `Ask me, for example:\n${asking.map((title) => `- ${title}`).join('\n')}`
  }
}
