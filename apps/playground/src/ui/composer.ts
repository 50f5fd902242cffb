// Where a person writes, adds an image, speaks.

import { type AudioSource, startAudio } from '../audio.ts'
import type { Question } from './chat.ts'
import { h, icon, setText } from './dom.ts'

const ICONS = {
  send: 'M4 10h11M10.5 5.5 15 10l-4.5 4.5',
  image: 'M3.5 4.5h13v11h-13zM3.5 13l3.5-3.5 3 3 2.5-2.5 4 4M12.6 7.6h.01',
  voice: 'M10 3v8.5M7.5 5.5v4a2.5 2.5 0 0 0 5 0v-4a2.5 2.5 0 0 0-5 0M5 9.5a5 5 0 0 0 10 0M10 14.5V17',
  stop: 'M6 6h8v8H6z',
}
/** What the endpoint takes, decoded. */
const MAX_IMAGE_BYTES = 10 * 1024 * 1024

export interface ComposerActions {
  /** Throws what is wrong with the question. */
  send(question: Question): void
  stop(): void
  /** Hands a chunk of audio to the line; false when it could not take it. */
  audio(samples: Int16Array): boolean
}

export class Composer {
  readonly element: HTMLElement
  readonly #actions: ComposerActions
  readonly #text: HTMLTextAreaElement
  readonly #send: HTMLButtonElement
  readonly #preview = h('div', { class: 'preview', hidden: true })
  readonly #problem = h('p', { class: 'problem', role: 'alert', hidden: true })
  readonly #voice: HTMLButtonElement
  readonly #meter = h('span', { class: 'meter' })
  readonly #voiceNote = h('span', { class: 'voice-note' })
  readonly #file: HTMLInputElement
  #image: string | undefined
  #source: AudioSource | undefined
  #busy = false

  constructor(actions: ComposerActions) {
    this.#actions = actions
    this.#text = h('textarea', {
      rows: 1,
      placeholder: 'Ask about guru-comms',
      'aria-label': 'Your message',
      oninput: () => this.#grow(),
      onkeydown: (event: KeyboardEvent) => {
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
        event.preventDefault()
        this.#submit()
      },
    })
    this.#file = h('input', {
      type: 'file',
      accept: 'image/png,image/jpeg,image/gif,image/webp',
      hidden: true,
      onchange: () => void this.#take(),
    })
    this.#voice = h(
      'button',
      {
        type: 'button',
        class: 'tool',
        'aria-pressed': 'false',
        title: 'Speak',
        onclick: () => void this.#toggleVoice(),
      },
      icon(ICONS.voice),
      h('span', { class: 'visually-hidden' }, 'Speak'),
    )
    this.#send = h(
      'button',
      { type: 'submit', class: 'send', title: 'Send' },
      icon(ICONS.send),
      h('span', { class: 'visually-hidden' }, 'Send'),
    )
    this.element = h(
      'form',
      {
        class: 'composer',
        onsubmit: (event: Event) => {
          event.preventDefault()
          if (this.#busy && this.#text.value.trim() === '') this.#actions.stop()
          else this.#submit()
        },
      },
      this.#problem,
      this.#preview,
      h(
        'div',
        { class: 'row' },
        h(
          'button',
          { type: 'button', class: 'tool', title: 'Add an image', onclick: () => this.#file.click() },
          icon(ICONS.image),
          h('span', { class: 'visually-hidden' }, 'Add an image'),
        ),
        this.#voice,
        this.#text,
        this.#send,
        this.#file,
      ),
      h('div', { class: 'voice', 'aria-live': 'polite' }, this.#meter, this.#voiceNote),
    )
  }

  /** While an answer comes, the empty composer's button stops it. */
  setBusy(busy: boolean): void {
    this.#busy = busy
    this.#label()
  }

  focus(): void {
    this.#text.focus()
  }

  #label(): void {
    const stops = this.#busy && this.#text.value.trim() === ''
    this.#send.classList.toggle('stops', stops)
    this.#send.title = stops ? 'Stop' : 'Send'
    this.#send.replaceChildren(
      icon(stops ? ICONS.stop : ICONS.send),
      h('span', { class: 'visually-hidden' }, stops ? 'Stop' : 'Send'),
    )
  }

  #submit(): void {
    const text = this.#text.value.trim()
    if (text === '' && this.#image === undefined) return
    try {
      this.#actions.send({ text: text || 'What is in this image?', image: this.#image })
    } catch (error) {
      this.#complain((error as Error).message)
      return
    }
    this.#text.value = ''
    this.#setImage(undefined, '')
    this.#complain('')
    this.#grow()
  }

  #grow(): void {
    this.#text.style.height = 'auto'
    this.#text.style.height = `${Math.min(this.#text.scrollHeight, 160)}px`
    this.#label()
  }

  #complain(problem: string): void {
    setText(this.#problem, problem)
    this.#problem.hidden = problem === ''
  }

  async #take(): Promise<void> {
    const file = this.#file.files?.[0]
    this.#file.value = ''
    if (!file) return
    if (file.size > MAX_IMAGE_BYTES) {
      this.#complain(`${file.name} has ${(file.size / 1024 / 1024).toFixed(1)} MB; an image may have 10.`)
      return
    }
    const url = await new Promise<string>((resolve) => {
      const reader = new FileReader()
      reader.onload = () => resolve(reader.result as string)
      reader.readAsDataURL(file)
    })
    this.#complain('')
    this.#setImage(url, file.name)
  }

  #setImage(url: string | undefined, name: string): void {
    this.#image = url
    this.#preview.hidden = url === undefined
    this.#preview.replaceChildren()
    if (url === undefined) return
    this.#preview.append(
      h('img', { src: url, alt: name }),
      h('span', {}, name),
      h('button', { type: 'button', onclick: () => this.#setImage(undefined, '') }, 'Remove'),
    )
  }

  async #toggleVoice(): Promise<void> {
    if (this.#source) {
      this.#source.stop()
      this.#source = undefined
      this.#voiceNote.textContent = ''
      this.#meter.style.setProperty('--level', '0')
    } else {
      let missed = 0
      this.#source = await startAudio((samples, level) => {
        if (!this.#actions.audio(samples)) missed += 1
        this.#meter.style.setProperty('--level', level.toFixed(3))
        const from =
          this.#source?.kind === 'microphone' ? 'Your microphone' : 'No microphone here: a tone instead'
        setText(
          this.#voiceNote,
          missed > 0 ? `${from}. ${missed} chunks came too late and were left out` : from,
        )
      })
    }
    const on = this.#source !== undefined
    this.#voice.setAttribute('aria-pressed', String(on))
    this.element.classList.toggle('speaking', on)
  }
}
