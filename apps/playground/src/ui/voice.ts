// Speaking: the button, and what shows that the line is listening.

import { type AudioSource, startAudio } from '../audio.ts'
import { loudness, SAMPLE_RATE } from '../model/Downsampler.ts'
import { formatBytes, formatSeconds } from '../model/format.ts'
import { h, setText } from './dom.ts'
import { icon } from './icons.ts'

export class Voice {
  readonly button: HTMLButtonElement
  readonly panel: HTMLElement
  readonly #send: (samples: Int16Array) => boolean
  readonly #meter = h('span', { class: 'meter', 'aria-hidden': 'true' })
  readonly #source = h('span', { class: 'voice-source' })
  readonly #sums = h('span', { class: 'voice-sums' })
  #audio: AudioSource | undefined
  /** Counts starts and stops: what comes of an earlier one is too late. */
  #turn = 0
  #samples = 0
  #missed = 0

  /** @param send hands a chunk to the line; false when it came too late */
  constructor(send: (samples: Int16Array) => boolean) {
    this.#send = send
    this.button = h(
      'button',
      {
        type: 'button',
        class: 'tool voice-button',
        title: 'Speak',
        'aria-label': 'Speak',
        'aria-pressed': 'false',
        onclick: () => void this.#toggle(),
      },
      icon('voice'),
    )
    this.panel = h(
      'div',
      { class: 'voice', hidden: true },
      h('span', { class: 'recording', 'aria-hidden': 'true' }),
      this.#source,
      this.#meter,
      this.#sums,
    )
  }

  async #toggle(): Promise<void> {
    this.#turn += 1
    const turn = this.#turn
    const wasOn = this.button.getAttribute('aria-pressed') === 'true'
    this.button.setAttribute('aria-pressed', String(!wasOn))
    this.panel.hidden = wasOn
    this.#audio?.stop()
    this.#audio = undefined
    if (wasOn) return
    this.#samples = 0
    this.#missed = 0
    setText(this.#source, 'Asking for the microphone')
    setText(this.#sums, '')
    const audio = await startAudio((chunk) => this.#onChunk(chunk))
    // Stopped again while the browser asked for permission.
    if (turn !== this.#turn) {
      audio.stop()
      return
    }
    this.#audio = audio
    setText(this.#source, audio.kind === 'microphone' ? 'Microphone' : 'Tone, no microphone')
  }

  #onChunk(chunk: Int16Array): void {
    if (this.#send(chunk)) this.#samples += chunk.length
    else this.#missed += 1
    this.#meter.style.setProperty('--level', loudness(chunk).toFixed(2))
    const sent = `${formatSeconds((this.#samples / SAMPLE_RATE) * 1000)} · ${formatBytes(this.#samples * 2)}`
    setText(this.#sums, this.#missed > 0 ? `${sent} · ${this.#missed} left out` : sent)
  }
}
