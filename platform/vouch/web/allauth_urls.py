"""django-allauth's views under our addresses, by the names that allauth itself reverses. What is not here (addresses of
e-mail, passwords by mail, names) does not exist: no mail is sent."""

from django.urls import path

from vouch.web import accounts, factors

urlpatterns = [
    path("sign-in", accounts.SignInView.as_view(), name="account_login"),
    path("sign-up", accounts.SignUpView.as_view(), name="account_signup"),
    path("sign-out", accounts.SignOutView.as_view(), name="account_logout"),
    path("sign-in/passkey", accounts.PasskeySignInView.as_view(), name="mfa_login_webauthn"),
    path("sign-in/second-factor", accounts.SecondStepView.as_view(), name="mfa_authenticate"),
    path("again/password", factors.AgainByPasswordView.as_view(), name="account_reauthenticate"),
    path("again/code", factors.AgainByCodeView.as_view(), name="mfa_reauthenticate"),
    path("again/passkey", factors.AgainByPasskeyView.as_view(), name="mfa_reauthenticate_webauthn"),
    path("second-factor", factors.FactorsView.as_view(), name="mfa_index"),
    path("second-factor/app", factors.AddAppView.as_view(), name="mfa_activate_totp"),
    path("second-factor/app/remove", factors.RemoveAppView.as_view(), name="mfa_deactivate_totp"),
    path("second-factor/passkeys", factors.AddPasskeyView.as_view(), name="mfa_add_webauthn"),
    path("second-factor/passkeys/<int:pk>/remove", factors.RemovePasskeyView.as_view(), name="mfa_remove_webauthn"),
    path("second-factor/recovery", factors.RecoveryView.as_view(), name="mfa_view_recovery_codes"),
    path("second-factor/recovery/new", factors.NewRecoveryView.as_view(), name="mfa_generate_recovery_codes"),
]
