// What a person sees of the conversation: one line per event, with its time, and the answer as it comes.

import { styleText } from 'node:util'
import { WrappedText } from './WrappedText.ts'

type Style = Parameters<typeof styleText>[0]

/** Signs of the states of a line. */
const STATES: Readonly<Record<string, { sign: string; style: Style }>> = {
  connecting: { sign: '◌', style: 'yellow' },
  open: { sign: '●', style: 'green' },
  waiting: { sign: '○', style: 'red' },
}

/** Where the words begin, behind time and sign. */
const INDENT = ' '.repeat(13)
/** Longer lines are hard to read, however wide the terminal is. */
const MAX_WIDTH = 96
const MIN_WIDTH = 40

/** A length of time in words. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Number((ms / 1000).toFixed(2))} s`
}

export class Timeline {
  readonly #out: NodeJS.WriteStream
  readonly #startedAt = performance.now()
  /** What is being written; something else may have to be said in the middle of it. */
  #answer: WrappedText | undefined

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  /** A line without a time. */
  plain(text = ''): void {
    this.#out.write(`${text}\n`)
  }

  /** The line has changed its state. */
  state(state: string, note = ''): void {
    const { sign, style } = STATES[state] ?? { sign: '·', style: 'dim' as const }
    this.#line(this.#paint(style, sign), this.#paint(style, note ? state.padEnd(10) : state), note)
  }

  /** Something was done to the line. */
  hurt(text: string): void {
    this.#line(this.#paint('red', '✂'), this.#paint(['bold', 'red'], text))
  }

  asked(text: string, note = ''): void {
    this.#line(this.#paint('cyan', '›'), this.#paint('bold', text), note)
  }

  /** The answer to a question that was asked a while ago begins. */
  answering(question: string): void {
    this.#line(this.#paint('cyan', '‹'), this.#paint('dim', `to: ${question}`))
  }

  /** Somewhere to write an answer to, piece by piece. */
  answer(): WrappedText {
    this.#answer = new WrappedText((text) => this.#out.write(text), this.#width - 1, INDENT)
    return this.#answer
  }

  /** The closing counts. */
  counts(
    parts: readonly { readonly count: number | string; readonly what: string; readonly good?: boolean }[],
  ): void {
    const shown = parts.map(({ count, what, good }) => {
      const style: Style = good === undefined ? 'bold' : ['bold', good ? 'green' : 'red']
      return `${this.#paint(style, String(count))} ${what}`
    })
    this.plain(`  ${this.#paint('dim', '─'.repeat(this.#width - 4))}`)
    this.plain(`  ${shown.join(this.#paint('dim', ' · '))}\n`)
  }

  title(text: string, note: string): void {
    this.plain(`\n  ${this.#paint('bold', text)}  ${this.#paint('dim', note)}\n`)
  }

  fact(name: string, value: string, note = ''): void {
    this.plain(`  ${this.#paint('dim', name.padEnd(11))}${value}${note && `  ${this.#paint('dim', note)}`}`)
  }

  get #width(): number {
    return Math.max(MIN_WIDTH, Math.min(this.#out.columns ?? 80, MAX_WIDTH))
  }

  #line(sign: string, text: string, note = ''): void {
    this.#answer?.breakOff()
    const time = ((performance.now() - this.#startedAt) / 1000).toFixed(2).padStart(7)
    this.#out.write(
      `${this.#paint('dim', `${time} s`)}  ${sign} ${text}${note && `  ${this.#paint('dim', note)}`}\n`,
    )
  }

  /** Colours only where they are seen, and not where NO_COLOR says no: `styleText` looks at the stream. */
  #paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#out })
  }
}
