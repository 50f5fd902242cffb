// Where a person writes, adds an image, speaks.

import type { Question } from '../model/Conversation.ts'
import { h, setText } from './dom.ts'
import { icon } from './icons.ts'
import { ImagePicker } from './imagePicker.ts'
import { Voice } from './voice.ts'

const MAX_HEIGHT_PX = 168

export interface ComposerActions {
  /** @throws what is wrong with the question */
  ask(question: Question): void
  stop(): void
  /** Hands a chunk of audio to the line; false when it came too late. */
  streamAudio(samples: Int16Array): boolean
}

export class Composer {
  readonly element: HTMLElement
  readonly #actions: ComposerActions
  readonly #text: HTMLTextAreaElement
  readonly #submitButton: HTMLButtonElement
  readonly #problem = h('p', { class: 'problem', role: 'alert', hidden: true })
  readonly #image: ImagePicker
  #busy = false
  #stops: boolean | undefined

  constructor(actions: ComposerActions) {
    this.#actions = actions
    this.#text = h('textarea', {
      rows: 1,
      placeholder: 'Ask about guru-comms',
      'aria-label': 'Your message',
      enterkeyhint: 'send',
      oninput: () => this.#grow(),
      onkeydown: (event: KeyboardEvent) => this.#onKey(event),
      onpaste: (event: ClipboardEvent) => {
        if (this.#image.takeFrom(event.clipboardData)) event.preventDefault()
      },
    })
    this.#image = new ImagePicker(
      (problem) => this.#complain(problem),
      () => {
        this.#label()
        this.#text.focus()
      },
    )
    const voice = new Voice((samples) => actions.streamAudio(samples))
    this.#submitButton = h('button', { type: 'submit', class: 'send' })
    this.element = h(
      'form',
      {
        class: 'composer',
        onsubmit: (event: Event) => {
          event.preventDefault()
          if (this.#stops) this.#actions.stop()
          else this.#submit()
        },
        ondragover: (event: DragEvent) => event.preventDefault(),
        ondrop: (event: DragEvent) => {
          event.preventDefault()
          this.#image.takeFrom(event.dataTransfer)
        },
      },
      this.#problem,
      h(
        'div',
        { class: 'box' },
        this.#image.preview,
        voice.panel,
        h(
          'div',
          { class: 'row' },
          this.#image.button,
          voice.button,
          this.#text,
          this.#submitButton,
          this.#image.input,
        ),
      ),
    )
    this.#label()
  }

  /** While an answer comes, the empty composer's button stops it. */
  setBusy(busy: boolean): void {
    this.#busy = busy
    this.#label()
  }

  /** Asks, and says what is wrong with the question where something is. */
  ask(question: Question): boolean {
    try {
      this.#actions.ask(question)
    } catch (error) {
      this.#complain((error as Error).message)
      return false
    }
    this.#complain('')
    return true
  }

  focus(): void {
    this.#text.focus()
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key === 'Escape' && this.#busy) this.#actions.stop()
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    this.#submit()
  }

  #submit(): void {
    const text = this.#text.value.trim()
    const image = this.#image.url
    if (text === '' && image === undefined) return
    if (!this.ask({ text: text || 'What is in this image?', image })) return
    this.#text.value = ''
    this.#image.clear()
    this.#grow()
  }

  #grow(): void {
    this.#text.style.height = 'auto'
    this.#text.style.height = `${Math.min(this.#text.scrollHeight, MAX_HEIGHT_PX)}px`
    this.#label()
  }

  #label(): void {
    const stops = this.#busy && this.#text.value.trim() === '' && this.#image.url === undefined
    if (stops === this.#stops) return
    this.#stops = stops
    const label = stops ? 'Stop' : 'Send'
    this.#submitButton.classList.toggle('stops', stops)
    this.#submitButton.title = label
    this.#submitButton.setAttribute('aria-label', label)
    this.#submitButton.replaceChildren(icon(stops ? 'stop' : 'send'))
  }

  #complain(problem: string): void {
    setText(this.#problem, problem)
    this.#problem.hidden = problem === ''
  }
}
