/** The default theme; help texts of 80 columns fit the page. */
import DefaultTheme from 'vitepress/theme'
import './site.css'

export default DefaultTheme
