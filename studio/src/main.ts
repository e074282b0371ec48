/** The studio's page: the report page's look, and the app in it. */
import { mount } from 'svelte'
import { style } from '../../src/evaluate/report-page/style.ts'
import App from './App.svelte'
import './studio.css'

const sheet = document.createElement('style')
sheet.textContent = style
document.head.prepend(sheet)
mount(App, { target: document.getElementById('app')! })
