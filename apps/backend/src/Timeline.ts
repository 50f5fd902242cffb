// What a person sees of the conversation: one line per event, with its time, and the answer as it comes.

import { styleText } from 'node:util'
import { WrappedText } from './WrappedText.ts'

type Style = Parameters<typeof styleText>[0]

/** Signs of the states of a line. */
const STATES: Readonly<Record<string, { sign: string; style: Style }>> = {
  idle: { sign: '○', style: 'dim' },
  connecting: { sign: '◌', style: 'yellow' },
  open: { sign: '●', style: 'green' },
  waiting: { sign: '○', style: 'red' },
  closing: { sign: '◌', style: 'dim' },
  closed: { sign: '○', style: 'dim' },
  failed: { sign: '✕', style: 'red' },
  disposed: { sign: '○', style: 'dim' },
}

const INDENT = ' '.repeat(12)
const MAX_WIDTH = 96

export class Timeline {
  readonly #out: NodeJS.WriteStream
  readonly #startedAt = performance.now()

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
    this.#line(
      this.#paint(style, sign),
      `${this.#paint(style, state)}${note && this.#paint('dim', `  ${note}`)}`,
    )
  }

  /** Something was done to the line. */
  hurt(text: string): void {
    this.#line(this.#paint('red', '✂'), this.#paint(['bold', 'red'], text))
  }

  asked(text: string, note = ''): void {
    this.#line(
      this.#paint('cyan', '›'),
      `${this.#paint('bold', text)}${note && this.#paint('dim', `  ${note}`)}`,
    )
  }

  note(text: string): void {
    this.#line(this.#paint('dim', '·'), this.#paint('dim', text))
  }

  /** Somewhere to write an answer to, piece by piece. */
  answer(): WrappedText {
    const width = Math.min(this.#out.columns ?? 80, MAX_WIDTH) - 1
    return new WrappedText((text) => this.#out.write(text), width, INDENT)
  }

  rule(): void {
    this.plain(this.#paint('dim', `  ${'─'.repeat(Math.min(this.#out.columns ?? 80, 76) - 4)}`))
  }

  /** The closing counts. */
  counts(
    parts: readonly { readonly count: number | string; readonly what: string; readonly bad?: boolean }[],
  ): void {
    const shown = parts.map(({ count, what, bad = false }) => {
      const style: Style = bad ? ['bold', 'red'] : 'bold'
      return `${this.#paint(style, String(count))} ${what}`
    })
    this.plain(`  ${shown.join(this.#paint('dim', ' · '))}`)
  }

  title(text: string, note: string): void {
    this.plain(`\n  ${this.#paint('bold', text)}  ${this.#paint('dim', note)}\n`)
  }

  fact(name: string, value: string, note = ''): void {
    this.plain(`  ${this.#paint('dim', name.padEnd(11))}${value}${note && this.#paint('dim', `  ${note}`)}`)
  }

  #line(sign: string, text: string): void {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(2).padStart(6)
    this.#out.write(`${this.#paint('dim', `${seconds} s`)}  ${sign} ${text}\n`)
  }

  /** Colours only where they are seen, and not where NO_COLOR says no: `styleText` looks at the stream. */
  #paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#out })
  }
}
