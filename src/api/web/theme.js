// theme.js: light or dark, before anything is painted: data-theme of the page.  Kept as "light" or "dark"; nothing kept: as the system is.
{
	const root = document.documentElement;
	const system = matchMedia('(prefers-color-scheme: dark)');
	const kept = () => {
		try {
			return localStorage.getItem('jobsched.theme');
		} catch {
			return null; // storage is forbidden
		}
	};
	let chosen = kept();
	const show = () => {
		root.dataset.theme = chosen ?? (system.matches ? 'dark' : 'light');
		window.dispatchEvent(new Event('themechange'));
	};
	if (chosen !== 'light' && chosen !== 'dark')
		chosen = null;
	show();
	window.jobschedTheme = {
		get: () => chosen ?? 'auto',
		set(theme) {
			chosen = theme === 'auto' ? null : theme;
			show();
			try {
				if (chosen === null)
					localStorage.removeItem('jobsched.theme');
				else
					localStorage.setItem('jobsched.theme', chosen);
			} catch {
				// it holds until the page is left
			}
		},
	};
	system.addEventListener('change', show);
}
