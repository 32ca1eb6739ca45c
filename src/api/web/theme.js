// theme.js: light or dark, before anything is painted.  Kept as "light" or "dark"; nothing kept: as the system is.
{
	const root = document.documentElement;
	const kept = () => {
		try {
			return localStorage.getItem('jobsched.theme');
		} catch {
			return null; // storage is forbidden
		}
	};
	const show = (theme) => {
		if (theme === 'light' || theme === 'dark')
			root.dataset.theme = theme;
		else
			delete root.dataset.theme;
	};
	show(kept());
	window.jobschedTheme = {
		get: () => root.dataset.theme ?? 'auto',
		set(theme) {
			show(theme);
			try {
				if (theme === 'auto')
					localStorage.removeItem('jobsched.theme');
				else
					localStorage.setItem('jobsched.theme', theme);
			} catch {
				// it holds until the page is left
			}
			window.dispatchEvent(new Event('themechange'));
		},
	};
	matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => window.dispatchEvent(new Event('themechange')));
}
