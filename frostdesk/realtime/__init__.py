"""Supabase's Realtime protocol, served by FrostDesk itself: committed changes to subscribers."""
